package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	"heliograph/drivers/udp"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/statement"
)

// said collects what a program says.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a program until the test ends.
func start(t *testing.T, c *exec.Cmd) (ended chan struct{}) {
	t.Helper()
	out := &said{}
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(c.Args, " "), out)
		}
	})
	return ended
}

// broker starts mosquitto and returns its port and a client of it.
func broker(t *testing.T) (int, paho.Client) {
	t.Helper()
	b := mosquitto.Start(t, "the roles in the sandbox", "")
	_, text, err := net.SplitHostPort(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Address))
	if token := c.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return port, c
}

// roleSpec writes a role's configuration, and is the sandbox that it needs.
func roleSpec(t *testing.T, role, line string, broker, status, collector int) Spec {
	t.Helper()
	dir := folder(t)
	topics := map[string]string{"heliotx": "topics = [\"#\"]\n"}[role]
	text := fmt.Sprintf("pair = \"sandbox\"\n[link]\nmedium = \"udp\"\naddress = %q\nrate = \"10Mbit/s\"\nkey_file "+
		"= \"pair.key\"\n"+
		"[state]\ndirectory = %q\n[status]\nlisten = \"127.0.0.1:%d\"\n[[mqtt]]\nchannel = \"cell-1\"\nbroker = "+
		"\"mqtt://127.0.0.1:%d\"\n%s[telemetry]\nendpoint = "+
		"\"http://127.0.0.1:%d\"\n",
		line, dir+"/state", status, broker, topics, collector)
	for name, content := range map[string][]byte{"role.toml": []byte(text), "pair.key": read(t, bench+"/pair.key")} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		owner := user
		if name == "pair.key" {
			owner = 0 // the role has it from the pipe alone
		}
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	use, _, err := pairkey.InUse(dir+"/pair.key", dir+"/keys", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	if err := use.Hand(ours); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Keys:    theirs,
		Program: filepath.Join(bench, role), Arguments: []string{"--config", dir + "/role.toml"}, UID: user, GID: user,
		Read:  []string{dir, "/etc/resolv.conf", "/etc/hosts", "/sys/class/thermal/thermal_zone0/temp"},
		State: dir + "/state", Bind: []uint16{uint16(status)}, Connect: []uint16{uint16(broker), uint16(collector)},
		Files: 1024, Threads: 512,
		Environment: []string{handover.Setting(handover.Link, LinkDescriptor),
			handover.Setting(handover.Keys, KeyDescriptor)},
	}
}

// exports starts a collector of metrics, and returns its port and what arrives.
func exports(t *testing.T) (int, <-chan string) {
	arrived := make(chan string, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- r.RemoteAddr:
		default:
		}
	}))
	t.Cleanup(collector.Close)
	return collector.Listener.Addr().(*net.TCPAddr).Port, arrived
}

// TestRolesCarryMQTTInTheSandbox runs both programs as they are shipped.
func TestRolesCarryMQTTInTheSandbox(t *testing.T) {
	root(t)
	plant, from := broker(t)
	it, to := broker(t)
	build := exec.Command("go", "build", "-o", bench, "heliograph/firmware/cmd/heliotx",
		"heliograph/firmware/cmd/heliorx", "heliograph/tools/heliograph")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the roles: %v: %s", err, out)
	}
	if out, err := exec.Command(bench+"/heliograph", "key", "new", bench+"/pair.key").CombinedOutput(); err != nil {
		t.Fatalf("making a pair key: %v: %s", err, out)
	}
	txStatus, rxStatus := await.FreePort(t), await.FreePort(t)
	line := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
	var got said
	if token := to.Subscribe("plant/#", 1, func(_ paho.Client, m paho.Message) {
		_, _ = got.Write(m.Payload())
	}); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}

	collector, exported := exports(t)
	rx := roleSpec(t, "heliorx", line, it, rxStatus, collector)
	tx := roleSpec(t, "heliotx", line, plant, txStatus, collector)
	rx.Direction, tx.Direction = Receive, Transmit
	var err error
	if rx.Link, err = udp.ListenFile(line); err != nil {
		t.Fatal(err)
	}
	if tx.Link, err = udp.DialFile(line); err != nil {
		t.Fatal(err)
	}
	ends := map[string]chan struct{}{}
	processes := map[string]*exec.Cmd{}
	for name, s := range map[string]Spec{"heliorx": rx, "heliotx": tx} {
		c, err := Command(s)
		if err != nil {
			t.Fatal(err)
		}
		ends[name], processes[name] = start(t, c), c
	}
	for _, port := range []int{txStatus, rxStatus} {
		await.NoError(t, "readiness", func() error {
			r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
			if err != nil {
				return err
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			return nil
		})
	}
	signs(t, rxStatus)
	for i := range 20 {
		if token := from.Publish("plant/line", 1, false, fmt.Sprintf("<%d>", i)); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	await.NoError(t, "messages", func() error {
		if !strings.Contains(got.String(), "<19>") {
			return fmt.Errorf("got %q, want 20 messages", got.String())
		}
		return nil
	})
	for range processes {
		await.Receive(t, "an export of metrics", exported)
	}
	for name, c := range processes {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ends[name]:
		case <-time.After(await.Bound):
			t.Fatalf("%s still runs after SIGTERM", name)
		}
		if code := c.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s: %v after SIGTERM, want exit code 0", name, c.ProcessState)
		}
	}
	for name, direction := range map[string]Direction{"heliotx": Transmit, "heliorx": Receive} {
		showsRefusal(t, filepath.Join(bench, name), direction)
	}
}

// signs has the receiver sign a statement with its key, which it made itself.
func signs(t *testing.T, port int) {
	t.Helper()
	await.NoError(t, "a signed statement", func() error {
		a, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/statement.json?nonce=%032d", port, 1))
		if err != nil {
			return err
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			return err
		}
		s, err := statement.Decode(body)
		if err == nil {
			_, err = s.Signature.Verify(statement.Measurement, []byte(s.Text))
		}
		if err != nil {
			return fmt.Errorf("%d %s: %w", a.StatusCode, body, err)
		}
		return nil
	})
}

// showsRefusal runs a program as PID 1 does while it refuses the configuration: with
// neither link nor keys nor configuration.
func showsRefusal(t *testing.T, program string, d Direction) {
	t.Helper()
	dir, port := folder(t), await.FreePort(t)
	file := filepath.Join(dir, "refusal.json")
	r := handover.Refusal{Listen: fmt.Sprintf("127.0.0.1:%d", port), Faults: []string{"heliograph.toml:3: a fault"}}
	if err := handover.WriteRefusal(file, r); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, user, user); err != nil {
		t.Fatal(err)
	}
	flag := os.O_WRONLY
	if d == Receive {
		flag = os.O_RDONLY
	}
	nowhere, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	c, err := Command(Spec{Program: program, Link: nowhere, Direction: d, UID: user, GID: user, State: dir,
		Bind: []uint16{uint16(port)}, Files: 1024, Threads: 512, Environment: []string{handover.Refused + "=" + file}})
	if err != nil {
		t.Fatal(err)
	}
	ended := start(t, c)
	await.NoError(t, "the faults", func() error {
		answer, err := http.Get("http://" + r.Listen + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err == nil && string(body) != "configuration: heliograph.toml:3: a fault\n" {
			err = fmt.Errorf("got %d %q", answer.StatusCode, body)
		}
		return err
	})
	_ = c.Process.Signal(syscall.SIGTERM)
	<-ended
	if code := c.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s: %v after SIGTERM, want exit code 0", program, c.ProcessState)
	}
}
