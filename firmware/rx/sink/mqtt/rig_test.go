package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/mqtt/server"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/sinktest"
	"heliograph/firmware/rx/spool"
)

// startMosquitto starts a broker that keeps nothing over a restart, and queues more
// than Debian's does.
func startMosquitto(t testing.TB, lines string) *mosquitto.Broker {
	t.Helper()
	return mosquitto.Start(t, "publishing to mosquitto", "max_queued_messages 100000\n"+lines)
}

// rig is a running sink.
type rig struct {
	*Sink
	q    *spool.Queue
	link *sinktest.Channel
	stop func() // ends it and waits
}

func start(t testing.TB, cfg config.MQTTSink, change ...func(*Deps)) *rig {
	t.Helper()
	return startLogging(t, slog.New(slog.DiscardHandler), cfg, change...)
}

func startLogging(t testing.TB, log *slog.Logger, cfg config.MQTTSink, change ...func(*Deps)) *rig {
	t.Helper()
	r := build(t, log, cfg, change...)
	r.begin(t)
	return r
}

// build makes a sink that does not run yet.
func build(t testing.TB, log *slog.Logger, cfg config.MQTTSink, change ...func(*Deps)) *rig {
	t.Helper()
	q, err := spool.Open(t.TempDir(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{q: q, link: &sinktest.Channel{}}
	deps := Deps{Queue: q, Channel: r.link, Gateway: Gateway{Prefix: cfg.TopicPrefix + "heliograph/pair/"}}
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
	return r
}

// gate returns a switch: while it is on, the sink does not reach its broker. To be called before begin.
func (r *rig) gate() *atomic.Bool {
	var away atomic.Bool
	dial := r.dial
	r.dial = func(ctx context.Context) (connection, error) {
		if away.Load() {
			return nil, errors.New("out of reach")
		}
		return dial(ctx)
	}
	return &away
}

// begin has it run.
func (r *rig) begin(t testing.TB) {
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
		case <-time.After(await.Bound):
			t.Error("Run did not end")
		}
		r.q.Close()
	})
	t.Cleanup(r.stop)
}

// broker is what the embedded broker has counted.
func (r *rig) broker() server.Stats { return r.embedded.current.Load().Stats() }

func (r *rig) event(m payload.Message) {
	u := sink.Update{Event: true, Payload: m.Append(nil)}
	if m.Retain {
		u.Key = []byte(m.Topic)
		r.link.Set(m.Topic, m.Append(nil))
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
	ctx := await.Context(t)
	if _, err := in.client.Connect(ctx, &paho.Connect{ClientID: "reader", CleanStart: true,
		KeepAlive: 30}); err != nil {
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
	await.True(t, fmt.Sprintf("%d messages arrive", n), func() bool { return len(in.all()) >= n })
	return in.all()
}
