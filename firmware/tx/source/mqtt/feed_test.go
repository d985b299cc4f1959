package mqtt

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source/sourcetest"
)

// kept is a connection to a broker that kept the session. It notes what is
// subscribed to.
type kept struct {
	connection
	asked []string
}

func (*kept) resumed() bool                 { return true }
func (*kept) barrier(context.Context) error { return nil }
func (k *kept) subscribe(_ context.Context, filters []string, _ byte) error {
	k.asked = append(k.asked, filters...)
	return nil
}

// TestAKeptSessionIsSubscribedToInItsMode checks that a session whose
// subscription hides retain flags is not taken for one that passes them on.
func TestAKeptSessionIsSubscribedToInItsMode(t *testing.T) {
	t.Parallel()
	s, _ := testSource(t)
	s.cfg.Topics = []string{"#"}
	bridge, plain := mode{version: "3.1.1", bridge: true}, mode{version: "3.1.1", hidesRetain: true}
	for i, step := range []struct {
		mode mode
		want int
	}{{plain, 1}, {plain, 0}, {bridge, 1}, {bridge, 0}, {plain, 1}, {mode{version: version5},
		1}, {mode{version: version5}, 1}, {bridge, 1}} {
		k := &kept{}
		f := newFeed(s)
		if err := f.subscribe(t.Context(), k, step.mode); err != nil || len(k.asked) != step.want {
			t.Errorf("connection %d, %s: got subscriptions to %q, %v; want %d", i, step.mode, k.asked, err, step.want)
		}
		f.windowClosed(time.Now().Add(time.Hour))
		f.close()
	}
}

// TestALostConnectionTakesItsWindowAlong loses a connection while the window is open and
// waits for an acknowledgement. The broker keeps the session.
func TestALostConnectionTakesItsWindowAlong(t *testing.T) {
	t.Parallel()
	s, _ := testSource(t)
	plain := mode{version: "3.1.1", hidesRetain: true}
	lost := newFeed(s)
	if err := lost.subscribe(t.Context(), &kept{}, plain); err != nil {
		t.Fatal(err)
	}
	m := &payload.Message{Topic: "t", QoS: 1, Retain: true, Payload: []byte("1")}
	lost.message(m, origin{id: 1, ack: func() {}})
	if lost.windowClosed(time.Now().Add(time.Hour)) {
		t.Fatal("the window closed before what it brought was acknowledged")
	}
	lost.close()
	f, k := newFeed(s), &kept{}
	defer f.close()
	if s.retained.judgeSession(m, false, time.Now(), false, 0) != isLive {
		t.Error("what the broker kept for the session is taken for what a subscription brought")
	}
	if err := f.subscribe(t.Context(), k, plain); err != nil || len(k.asked) != 1 {
		t.Errorf("got subscriptions to %q, %v; want one, that brings again what was lost", k.asked, err)
	}
	if f.windowClosed(time.Now()) {
		t.Error("the subscription opened no window")
	}
	if !f.windowClosed(time.Now().Add(time.Hour)) {
		t.Error("the window waits for acknowledgements of a connection that is lost")
	}
}

// TestAStreamDoesNotKeepTheWindowOpen has live retained messages of one topic come all the
// time, the last of which is never acknowledged yet.
func TestAStreamDoesNotKeepTheWindowOpen(t *testing.T) {
	t.Parallel()
	s, _ := testSource(t)
	f := newFeed(s)
	defer f.close()
	at := time.Now()
	s.retained.openWindow(at)
	m := &payload.Message{Topic: "t", Retain: true, QoS: 1, Payload: []byte("1")}
	closed := false
	for i := range uint64(30) {
		at = at.Add(s.retained.quiet / 8)
		s.retained.addSession(m, false, at, mark{sum: i}, i+1)
		closed = f.windowClosed(at)
		f.acks.expect(func() {})()
		await.True(t, "it is acknowledged", func() bool { return s.stats.Acknowledged.Load() == i+1 })
	}
	if !closed {
		t.Error("the window is open, want it closed: no new topic came for a long time")
	}
}

// TestTopicsThatAreNoLongerConfiguredAreUnsubscribed narrows the topics of a
// channel while the broker keeps its session.
func TestTopicsThatAreNoLongerConfiguredAreUnsubscribed(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b, folder := persistent(t, ""), t.TempDir()
		cfg := config.MQTTSource{Broker: b.URL(), Version: version, Topics: []string{"a/#", "b/#", "c"}}
		s, stop := startIn(t, folder, cfg, &port{})
		up(t, s)
		stop()
		cfg.Topics = []string{"a/#", "d"}
		p := &port{}
		s, _ = startIn(t, folder, cfg, p)
		up(t, s)
		plant := connectPlant(t, b.URL())
		for _, topic := range []string{"b/1", "c", "d", "a/1"} {
			plant.send(topic, 1, false, "x")
		}
		p.expect(t, "", `d event q1 "x"`, `a/1 event q1 "x"`)
		if received, refused := s.Stats().Received.Load(), s.Stats().Refused.Load(); received != 2 || refused != 0 {
			t.Errorf("got %d received and %d refused, want 2 and 0: the broker sends what is no longer configured",
				received,
				refused)
		}
	})
}

// BenchmarkMessage is one QoS 0 event from the library to the link.
func BenchmarkMessage(b *testing.B) {
	s, _ := testSource(b)
	f := newFeed(s)
	defer f.close()
	m := payload.Message{Topic: "press/7/temperature", Payload: make([]byte, 200)}
	b.ReportAllocs()
	for b.Loop() {
		f.message(&m, origin{})
	}
}

func TestMessageCostsFewAllocations(t *testing.T) {
	s, _ := testSource(t)
	f := newFeed(s)
	defer f.close()
	m := payload.Message{Topic: "press/7/temperature", Payload: make([]byte, 200)}
	// The link keeps its bytes and its Left; the rest is what Left needs.
	const most = 8
	if got := testing.AllocsPerRun(1000, func() { f.message(&m, origin{}) }); got > most {
		t.Errorf("got %v allocations a message, want at most %d", got, most)
	}
}

// testSource is a source on a port that keeps nothing.
func testSource(t testing.TB) (*Source, *sourcetest.Discard) {
	t.Helper()
	p := &sourcetest.Discard{}
	s, err := New(config.MQTTSource{Broker: "mqtt://x:1", Topics: []string{"#"}}, "", p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}
