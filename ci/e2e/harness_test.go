package e2e

import (
	"bytes"
	"context"
	"encoding/json"
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
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
)

// patience bounds every wait for something that must happen; many tags take longer.
var patience = 60*time.Second + time.Duration(wantedTags(0))*20*time.Millisecond

// wantedTags is how many tags the acceptance of OPC UA is to have, if somebody says so.
func wantedTags(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("HELIOGRAPH_TAGS")); err == nil {
		return n
	}
	return usual
}

var programs string // folder of the built programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "heliograph-e2e")
	if err == nil {
		build := exec.Command("go", "build", "-o", dir, "heliograph/firmware/cmd/heliotx", "heliograph/firmware/cmd/heliorx", "heliograph/tools/heliograph")
		build.Stderr = os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: building the programs:", err)
		os.Exit(1)
	}
	programs = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// eventually waits until f returns nil.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within %s: %v", what, patience, err)
}

// peer says that a test cannot prove what it is for without a program.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path = "/usr/sbin/" + name; fileMissing(path) {
			t.Skipf("not proved: the whole gateway against %s, because it is not installed", name)
		}
	}
	return path
}

func fileMissing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// port returns a free TCP and UDP port of loopback.
func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a running program.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  *log
	done chan struct{}
}

// log collects what a program says.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program until it is stopped or the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(name), cmd: exec.Command(name, args...), log: &log{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, tail(p.log.String(), 4000))
		}
	})
	return p
}

func tail(s string, n int) string { return s[max(len(s)-n, 0):] }

// kill ends the program without letting it say goodbye.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the program as an operator would, and wants a clean end.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s: still running %s after SIGTERM", p.name, patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s: exit code %d after SIGTERM, want 0", p.name, code)
	}
}

// gateway is a pair of roles and the link between them.
type gateway struct {
	t              *testing.T
	dir            string
	link           *linktest.Link
	txStatus       int
	rxStatus       int
	tx, rx         *process
	txConf, rxConf string
	enter, leave   string // addresses of the link
}

// newGateway prepares a pair over UDP. The configurations get what follows
// the link, state and status tables.
func newGateway(t *testing.T, profile linktest.Profile, tx, rx string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), link: linktest.New(42, profile), txStatus: port(t), rxStatus: port(t)}
	g.enter, g.leave = fmt.Sprintf("127.0.0.1:%d", port(t)), fmt.Sprintf("127.0.0.1:%d", port(t))
	line, err := relay.NewUDP(g.enter, g.leave, g.link)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- line.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("relay: %v", err)
		}
	})
	g.tool("key", "new", filepath.Join(g.dir, "pair.key"))
	g.txConf = g.configure("tx", g.enter, g.txStatus, tx)
	g.rxConf = g.configure("rx", g.leave, g.rxStatus, rx)
	return g
}

func (g *gateway) tool(args ...string) string {
	g.t.Helper()
	out, err := exec.Command(filepath.Join(programs, "heliograph"), args...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("heliograph %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (g *gateway) configure(role, address string, status int, rest string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, role+".toml")
	text := fmt.Sprintf(`pair = "e2e"
[link]
medium = "udp"
address = %q
rate = "100Mbit/s"
key_file = "pair.key"
[state]
directory = "state-%s"
[status]
listen = "127.0.0.1:%d"
%s`, address, role, status, rest)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

func (g *gateway) startTX() {
	g.t.Helper()
	g.tx = start(g.t, filepath.Join(programs, "heliotx"), "--config", g.txConf)
}

func (g *gateway) startRX() {
	g.t.Helper()
	g.rx = start(g.t, filepath.Join(programs, "heliorx"), "--config", g.rxConf)
}

// ready waits until both ends say that they are.
func (g *gateway) ready() {
	g.t.Helper()
	for _, port := range []int{g.txStatus, g.rxStatus} {
		eventually(g.t, "readyz", func() error {
			body, code, err := get(port, "/readyz")
			if err != nil || code != http.StatusOK {
				return fmt.Errorf("%d %s %v", code, body, err)
			}
			return nil
		})
	}
}

func get(port int, path string) (body string, code int, err error) {
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return "", 0, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return string(b), r.StatusCode, err
}

// status is what the tests look at of /status.json.
type status struct {
	Channels map[string]channelStatus
	Link     struct {
		Epoch, Frames, Bytes, Repaired, Lost, Replayed uint64
		CRCErrors                                      uint64 `json:"crc_errors"`
		AuthFailures                                   uint64 `json:"auth_failures"`
	}
	Notes []struct{ Event string }
}

type channelStatus struct {
	Sent, Dropped, Delivered, Refused, Expired, Conflated, Lost, Unknown uint64
	Complete                                                             bool
	SourceState                                                          string `json:"source_state"`
	SourceReason                                                         string `json:"source_reason"`
}

func statusOf(t *testing.T, port int) status {
	t.Helper()
	var s status
	eventually(t, "status.json", func() error {
		body, _, err := get(port, "/status.json")
		if err == nil {
			s = status{}
			err = json.Unmarshal([]byte(body), &s)
		}
		return err
	})
	return s
}

// balanced waits until the account of a channel adds up and returns it.
func (g *gateway) balanced(channel string) (sent, delivered, conflated, lost uint64) {
	g.t.Helper()
	eventually(g.t, "sent = delivered + conflated + lost on "+channel, func() error {
		tx, rx := statusOf(g.t, g.txStatus).Channels[channel], statusOf(g.t, g.rxStatus).Channels[channel]
		sent, delivered, conflated, lost = tx.Sent, rx.Delivered, rx.Conflated, rx.Lost
		if sent != delivered+conflated+lost+rx.Unknown+rx.Refused+rx.Expired {
			return fmt.Errorf("sent %d, delivered %d, conflated %d, lost %d, unknown %d", sent, delivered, conflated, lost, rx.Unknown)
		}
		return nil
	})
	return sent, delivered, conflated, lost
}

// mosquitto starts a broker on a port of its own.
func mosquitto(t *testing.T, port int) *process {
	t.Helper()
	path := peer(t, "mosquitto")
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nuser root\n", port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, path, "-c", conf)
	eventually(t, "mosquitto", func() error {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return p
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustWrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
