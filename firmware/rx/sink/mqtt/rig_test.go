package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/mqtt/server"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	within(t, 60, what, ok)
}

func within(t testing.TB, seconds int, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Duration(seconds) * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %d s: %s", seconds, what)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// mosquitto starts a broker that keeps nothing; stop kills it at once.
func mosquitto(t testing.TB, port, extra string) (stop func()) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("not proved: publishing to mosquitto, because it is not installed")
	}
	conf := filepath.Join(t.TempDir(), "conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n%s\n", port, extra)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	eventually(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return stop
}

// picture is a sink.Channel that a test sets.
type picture struct {
	mu   sync.Mutex
	keys map[string][]byte

	refused, expired atomic.Uint64
}

func (p *picture) Refused(n uint64) { p.refused.Add(n) }

func (p *picture) Expired(n uint64) { p.expired.Add(n) }

func (p *picture) Confirmed([]byte) bool { return true }

func (p *picture) Health() sink.Health { return sink.Health{Complete: true, State: sink.Up} }

func (p *picture) Range(f func(key, payload []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.keys {
		if !f([]byte(k), v) {
			return
		}
	}
}

func (p *picture) set(m payload.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = map[string][]byte{}
	}
	p.keys[m.Topic] = m.Append(nil)
}

// rig is a running sink.
type rig struct {
	*Sink
	q    *spool.Queue
	pic  *picture
	stop func() // ends it and waits
}

func start(t testing.TB, cfg config.MQTTSink, change ...func(*Deps)) *rig {
	t.Helper()
	return startLogging(t, slog.New(slog.DiscardHandler), cfg, change...)
}

func startLogging(t testing.TB, log *slog.Logger, cfg config.MQTTSink, change ...func(*Deps)) *rig {
	t.Helper()
	q, err := spool.Open(t.TempDir(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{q: q, pic: &picture{}}
	deps := Deps{Queue: q, Channel: func() sink.Channel { return r.pic }, Pair: "pair"}
	for _, c := range change {
		c(&deps)
	}
	cfg.Channel = "cell"
	if cfg.ClientID == "" {
		cfg.ClientID = "heliorx-" + t.Name()
	}
	if r.Sink, err = New(cfg, deps, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end within 10 s")
		}
		q.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// broker is what the embedded broker has counted.
func (r *rig) broker() server.Stats { return r.embedded.current.Load().Stats() }

func (r *rig) event(m payload.Message) {
	u := sink.Update{Event: true, Payload: m.Append(nil)}
	if m.Retain {
		u.Key = []byte(m.Topic)
		r.pic.set(m)
	}
	r.Deliver(u)
}

// inbox is a subscriber on MQTT 5.
type inbox struct {
	mu     sync.Mutex
	got    []*paho.Publish
	client *paho.Client
}

func subscribe(t testing.TB, address string, filters ...string) *inbox {
	t.Helper()
	in := &inbox{}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	in.client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			in.mu.Lock()
			defer in.mu.Unlock()
			in.got = append(in.got, p.Packet)
			return true, nil
		}},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := in.client.Connect(ctx, &paho.Connect{ClientID: "reader", CleanStart: true, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	sub := &paho.Subscribe{}
	for _, f := range filters {
		sub.Subscriptions = append(sub.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: 2, RetainAsPublished: true})
	}
	if _, err := in.client.Subscribe(ctx, sub); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.client.Disconnect(&paho.Disconnect{}) })
	return in
}

func (in *inbox) all() []*paho.Publish {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got)
}

func (in *inbox) wait(t testing.TB, n int) []*paho.Publish {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages arrive", n), func() bool { return len(in.all()) >= n })
	return in.all()
}
