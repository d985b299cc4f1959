package overload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/tools/plant"
)

// rig is a pair of roles with their peers.
type rig struct {
	dir       string
	ports     ports
	processes []*process
	tx, rx    *process
	plant     *plant.Server
	collector *collector
}

// ports are those of loopback that the rig uses.
type ports struct {
	link, txStatus, rxStatus, broker, reader, honest, noisy, mirror int
}

const tags = 100

var errNoBroker = errors.New("overload: mosquitto is missing: run \"make setup\"")

// patience is for a start on a busy machine.
const patience = time.Minute

func start(programs string) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "heliograph-overload-"); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	for _, p := range []*int{&r.ports.link, &r.ports.txStatus, &r.ports.rxStatus, &r.ports.broker, &r.ports.reader, &r.ports.honest, &r.ports.noisy, &r.ports.mirror} {
		if *p, err = freePort(); err != nil {
			return r, err
		}
	}
	if r.plant, err = plant.NewServer(tags); err != nil {
		return r, err
	}
	if r.collector, err = collect(); err != nil {
		return r, err
	}
	if err := r.configure(); err != nil {
		return r, err
	}
	broker, err := exec.LookPath("mosquitto")
	if err != nil {
		broker = "/usr/sbin/mosquitto" // which is not in everybody's path
	}
	if _, err := os.Stat(broker); err != nil {
		return r, errNoBroker
	}
	if _, err = r.run(broker, "-p", strconv.Itoa(r.ports.broker)); err != nil {
		return r, err
	}
	if r.rx, err = r.run(filepath.Join(programs, "heliorx"), "--config", filepath.Join(r.dir, "rx.toml")); err != nil {
		return r, err
	}
	if r.tx, err = r.run(filepath.Join(programs, "heliotx"), "--config", filepath.Join(r.dir, "tx.toml")); err != nil {
		return r, err
	}
	return r, r.ready()
}

// configure writes the configuration of both roles.
func (r *rig) configure() error {
	p := r.ports
	common := fmt.Sprintf("pair = \"overload\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:%d\"\nrate = \"100Mbit/s\"\nkey_file = \"pair.key\"\n", p.link)
	tx := common + fmt.Sprintf(`[state]
directory = "state-tx"
[status]
listen = "127.0.0.1:%d"
[[mqtt]]
channel = "cell"
broker = "mqtt://127.0.0.1:%d"
topics = ["#"]
[[opcua]]
channel = "line"
endpoint = %q
security_policy = "None"
security_mode = "None"
[[syslog]]
channel = "log"
listen = ["tcp://127.0.0.1:%d"]
[[syslog]]
channel = "noise"
listen = ["udp://127.0.0.1:%d"]
`, p.txStatus, p.broker, r.plant.Endpoint, p.honest, p.noisy)
	rx := common + fmt.Sprintf(`[state]
directory = "state-rx"
[status]
listen = "127.0.0.1:%d"
[[mqtt]]
channel = "cell"
listen = "mqtt://127.0.0.1:%d"
[[opcua]]
channel = "line"
listen = "opc.tcp://127.0.0.1:%d"
security = ["None"]
anonymous = true
[[syslog]]
channel = "log"
forward = "tcp://%s"
[[syslog]]
channel = "noise"
forward = "udp://127.0.0.1:9"
`, p.rxStatus, p.reader, p.mirror, r.collector.address())
	key := string(pairkey.Format(pairkey.New()))
	for name, text := range map[string]string{"tx.toml": tx, "rx.toml": rx, "pair.key": key} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("overload: %v", err)
		}
	}
	return nil
}

// process is a running program and the end of what it said.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	said  bytes.Buffer
}

const keptLog = 8 << 10

// Write takes what the program says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b)
	p.said.Next(max(p.said.Len()-keptLog, 0))
	return len(b), nil
}

func (r *rig) run(name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("overload: starting %s: %v (run \"make build\" first)", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	r.processes = append(r.processes, p)
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// ready waits until both roles are.
func (r *rig) ready() error {
	var reason error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if reason = errors.Join(ready(r.ports.txStatus), ready(r.ports.rxStatus)); reason == nil {
			return nil
		}
	}
	return fmt.Errorf("overload: the pair did not get ready within %s: %v\n%s", patience, reason, r.logs())
}

func ready(port int) error {
	client := http.Client{Timeout: 5 * time.Second}
	a, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 1<<16))
	if err == nil && a.StatusCode != http.StatusOK {
		err = errors.New(string(b))
	}
	return err
}

func (r *rig) logs() string {
	var out strings.Builder
	for _, p := range r.processes {
		p.mu.Lock()
		fmt.Fprintf(&out, "%s said:\n%s", filepath.Base(p.cmd.Path), p.said.String())
		p.mu.Unlock()
	}
	return out.String()
}

// peaks reads what memory the roles took at most.
func (r *rig) peaks() (peaks []Peak, err error) {
	for _, p := range []*process{r.tx, r.rx} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			return nil, fmt.Errorf("overload: %v", err)
		}
		_, rest, _ := strings.Cut(string(b), "VmHWM:")
		var kilobytes int64
		if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
			return nil, fmt.Errorf("overload: no peak of memory in /proc: %v", err)
		}
		peaks = append(peaks, Peak{filepath.Base(p.cmd.Path), kilobytes << 10})
	}
	return peaks, nil
}

func (r *rig) stop() {
	for _, p := range r.processes {
		p.stop()
	}
	if r.collector != nil {
		r.collector.close()
	}
	if r.plant != nil {
		_ = r.plant.Close()
	}
	_ = os.RemoveAll(r.dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("overload: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
