package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// role is heliotx or heliorx as a process.
type role struct {
	name  string
	cmd   *exec.Cmd
	url   string
	ended chan struct{}
	mu    sync.Mutex
	log   bytes.Buffer
}

func startRole(folder, name, config string, port int) (*role, error) {
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("demo: %s is not beside this program: run \"make build\" first", name)
	}
	r := &role{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port), ended: make(chan struct{})}
	r.cmd = exec.Command(path, "--config", config)
	r.cmd.Stderr = r
	// Ctrl-C is for the demo, which ends its roles in order; should it be
	// killed, they end too.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("demo: starting %s: %v", name, err)
	}
	go func() { _ = r.cmd.Wait(); close(r.ended) }()
	return r, nil
}

// keptLog is how much of what a role says is kept, in bytes.
const keptLog = 16 << 10

// Write takes what the role logs.
func (r *role) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Write(p)
	if extra := r.log.Len() - keptLog; extra > 0 {
		r.log.Next(extra)
	}
	return len(p), nil
}

func (r *role) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// stop ends the role as an operator would, and then for good.
func (r *role) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(partTime):
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
}

var asker = http.Client{Timeout: 2 * time.Second}

func (r *role) get(path string) ([]byte, error) {
	a, err := asker.Get(r.url + path)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err == nil && a.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(b)))
	}
	return b, err
}

// ready returns why the role is not ready, in its own words.
func (r *role) ready() error {
	if _, err := r.get("/readyz"); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

// roleStatus is what the demo shows of /status.json.
type roleStatus struct {
	Channels map[string]struct {
		Sent, Dropped, Delivered, Conflated, Lost uint64
		SourceState                               string `json:"source_state"`
		SourceReason                              string `json:"source_reason"`
	}
	Link struct {
		Frames, Repaired, Lost uint64
		CRCErrors              uint64 `json:"crc_errors"`
		AuthFailures           uint64 `json:"auth_failures"`
	}
}

// status returns what the role says, or nothing while it says nothing.
func (r *role) status() (s roleStatus) {
	if b, err := r.get("/status.json"); err == nil {
		_ = json.Unmarshal(b, &s) // a role's own words
	}
	return s
}

// freePorts returns ports of loopback that are free for TCP and UDP.
func freePorts(n int) ([]int, error) {
	var ports []int
	for len(ports) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("demo: %v", err)
		}
		defer l.Close() // keeps it from being given twice
		port := l.Addr().(*net.TCPAddr).Port
		if u, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = u.Close()
			ports = append(ports, port)
		}
	}
	return ports, nil
}
