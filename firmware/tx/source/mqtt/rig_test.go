package mqtt

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"go.uber.org/goleak"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

// TestMain lets more tests wait at once than there are processors: they wait
// for brokers and for silence.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// port is a source.Port that keeps everything.
type port struct {
	mu      sync.Mutex
	updates []source.Update
	keys    map[string][]byte
	whole   bool
	state   source.State
	reasons []string
	full    chan struct{}             // nil: there is room
	hold    bool                      // nothing leaves
	refuse  func(source.Update) error // what Put returns; nil: nil
}

func (p *port) Put(u source.Update) error {
	p.mu.Lock()
	if p.refuse != nil {
		if err := p.refuse(u); err != nil {
			p.mu.Unlock()
			return err
		}
	}
	if u.Key != nil {
		if p.keys == nil {
			p.keys = map[string][]byte{}
		}
		p.keys[string(u.Key)] = u.Payload
		if u.Delete {
			delete(p.keys, string(u.Key))
		}
	}
	p.updates = append(p.updates, u)
	hold := p.hold
	p.mu.Unlock()
	if u.Left != nil && !hold {
		u.Left(nil)
	}
	return nil
}

func (p *port) Whole(w bool)     { p.mu.Lock(); p.whole = w; p.mu.Unlock() }
func (p *port) Conflated(uint64) {}

// Room is closed unless there is none.
func (p *port) Room() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full != nil {
		return p.full
	}
	room := make(chan struct{})
	close(room)
	return room
}

func (p *port) Report(s source.State, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	p.reasons = append(p.reasons, s.String()+" "+reason)
}

func (p *port) Range(f func(key, payload []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.keys {
		if !f([]byte(k), v) {
			return
		}
	}
}

func (p *port) isWhole() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.whole }

func (p *port) status() (source.State, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reasons) == 0 {
		return p.state, ""
	}
	return p.state, p.reasons[len(p.reasons)-1]
}

func (p *port) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.reasons, "\n")
}

func (p *port) all() []source.Update {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.updates)
}

// lines are the updates of topics with a prefix, in words.
func (p *port) lines(prefix string) []string {
	var lines []string
	for _, u := range p.all() {
		var m payload.Message
		words := "state"
		if u.Event {
			words = "event"
		}
		if u.Delete {
			words += " delete"
		}
		topic := string(u.Key)
		if err := m.Parse(u.Payload); err == nil {
			topic = m.Topic
			words += fmt.Sprintf(" q%d %q", m.QoS, m.Payload)
			if m.Retain {
				words += " retained"
			}
		}
		if u.Key != nil {
			words += " key=" + string(u.Key)
		}
		if strings.HasPrefix(topic, prefix) {
			lines = append(lines, topic+" "+words)
		}
	}
	return lines
}

// expect waits for exactly these lines.
func (p *port) expect(t testing.TB, prefix string, want ...string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(p.lines(prefix)) < len(want) && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
	if got := p.lines(prefix); !slices.Equal(got, want) {
		t.Fatalf("updates below %s:\ngot  %s\nwant %s", prefix, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// release lets go of what is held, oldest first.
func (p *port) release(err error) {
	p.mu.Lock()
	p.hold = false
	held := slices.Clone(p.updates)
	p.mu.Unlock()
	for _, u := range held {
		if u.Left != nil {
			u.Left(err)
		}
	}
}

// start runs a source until stop is called or the test ends.
func start(t testing.TB, cfg config.MQTTSource, p *port) (s *Source, stop func()) {
	t.Helper()
	if cfg.ClientID == "" {
		cfg.ClientID = "heliotx-test"
	}
	if cfg.Topics == nil {
		cfg.Topics = []string{"#"}
	}
	cfg.Channel = "cell"
	s, err := New(cfg, filepath.Join(t.TempDir(), "topics"), p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.picture.patience, s.again = 200*time.Millisecond, 500*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end within 10 s")
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func up(t testing.TB, s *Source) {
	t.Helper()
	eventually(t, "the source is ready", func() bool { return s.Ready() == nil })
}

// broker is a mosquitto that keeps its sessions and retained messages.
type broker struct {
	t       testing.TB
	program string
	conf    string
	port    string
	cmd     *exec.Cmd
}

func mosquitto(t testing.TB, extra string) *broker {
	t.Helper()
	return mosquittoConf(t, "max_queued_messages 100000\nautosave_interval 1\nautosave_on_changes true\n"+extra)
}

// mosquittoConf is a mosquitto that keeps its sessions and retained messages,
// with the limits that Debian ships unless extra says otherwise.
func mosquittoConf(t testing.TB, extra string) *broker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("not proved: hearing mosquitto, because it is not installed")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	dir := t.TempDir()
	b := &broker{t: t, program: path, conf: filepath.Join(dir, "conf"), port: port}
	text := fmt.Sprintf("user root\nlistener %s 127.0.0.1\nallow_anonymous true\n"+
		"persistence true\npersistence_location %s/\n%s\n", port, dir, extra)
	if err := os.WriteFile(b.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run()
	t.Cleanup(b.kill)
	return b
}

func (b *broker) run() {
	b.t.Helper()
	b.cmd = exec.Command(b.program, "-c", b.conf)
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+b.port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// saved reports whether what mosquitto keeps on disk has all these words.
func (b *broker) saved(words ...string) bool {
	db, err := os.ReadFile(filepath.Join(filepath.Dir(b.conf), "mosquitto.db"))
	for _, w := range words {
		if err != nil || !bytes.Contains(db, []byte(w)) {
			return false
		}
	}
	return true
}

func (b *broker) kill() { _ = b.cmd.Process.Kill(); _ = b.cmd.Wait() }

func (b *broker) url() string { return "mqtt://127.0.0.1:" + b.port }

// publisher is a client on MQTT 5.
type publisher struct {
	t      testing.TB
	client *paho.Client
}

func publish(t testing.TB, address string) *publisher {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, client: paho.NewClient(paho.ClientConfig{Conn: conn})}
	if _, err := p.client.Connect(t.Context(), &paho.Connect{ClientID: "plant", CleanStart: true, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end() })
	return p
}

func (p *publisher) end() { _ = p.client.Disconnect(&paho.Disconnect{}); <-p.client.Done() }

func (p *publisher) send(topic string, qos byte, retain bool, text string) {
	p.t.Helper()
	p.full(&paho.Publish{Topic: topic, QoS: qos, Retain: retain, Payload: []byte(text)})
}

func (p *publisher) full(m *paho.Publish) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := p.client.Publish(ctx, m); err != nil {
		p.t.Fatalf("publishing %s: %v", m.Topic, err)
	}
}

// script is a broker that does what a test says to each connection.
func script(t testing.TB, serve func(n int, conn net.Conn, level byte)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	conns.Go(func() {
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				_, body, err := readPacket(conn)
				if err == nil && len(body) > 6 {
					serve(n, conn, body[6])
				}
			})
		}
	})
	return "mqtt://" + ln.Addr().String()
}

// readPacket reads one packet.
func readPacket(r io.Reader) (kind byte, body []byte, err error) {
	head := make([]byte, 1)
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	kind = head[0] >> 4
	length, shift := 0, 0
	for {
		if _, err = io.ReadFull(r, head); err != nil {
			return 0, nil, err
		}
		length |= int(head[0]&0x7f) << shift
		if shift += 7; head[0]&0x80 == 0 {
			break
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// answer serves a 5 or 3.1.1 client until it goes; then is called once it has
// subscribed.
func answer(conn net.Conn, level byte, then func()) {
	five := level == 5
	if five {
		_, _ = conn.Write([]byte{0x20, 3, 0, 0, 0})
	} else {
		_, _ = conn.Write([]byte{0x20, 2, 0, 0})
	}
	for {
		kind, body, err := readPacket(conn)
		if err != nil {
			return
		}
		reply := []byte(nil)
		switch kind {
		case 8: // SUBSCRIBE
			if reply = []byte{0x90, 3, body[0], body[1], 2}; five {
				reply = []byte{0x90, 4, body[0], body[1], 0, 2}
			}
		case 10: // UNSUBSCRIBE
			if reply = []byte{0xb0, 2, body[0], body[1]}; five {
				reply = []byte{0xb0, 4, body[0], body[1], 0, 0x11}
			}
		case 12:
			reply = []byte{0xd0, 0}
		}
		_, _ = conn.Write(reply)
		if kind == 8 && then != nil {
			then()
		}
	}
}
