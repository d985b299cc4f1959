package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/mqtt/packet"
)

var hour = []byte{propSessionExpiry, 0, 0, 0x0e, 0x10}

// abandon leaves a session behind that subscribed to a filter.
func abandon(t *testing.T, b *Broker, from, id, filter string, at time.Time) {
	t.Helper()
	p := newPeer(t, b, 5, from)
	p.connect(id, "", false, hour...)
	p.read()
	p.subscribe(filter, 1)
	p.c.Close(at)
}

// TestAbandonedSessionsStayWithinTheBudget is the attack: 199 sessions that
// their clients do not resume, each of which is to keep 1,500 messages of 20 kB of its own.
func TestAbandonedSessionsStayWithinTheBudget(t *testing.T) {
	for name, filter := range map[string]func(i int) string{
		"the same messages": func(int) string { return "#" },
		"each its own":      func(i int) string { return fmt.Sprint("t/", i) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Share: 1 << 20, Budget: 4 << 20} // a twelfth of the default, as are the figures
			b := New(cfg, "t")
			abandon(t, b, "10.0.0.9", "honest", "t/0", start.Add(-time.Hour))
			for i := range 198 {
				abandon(t, b, "10.0.0.1", fmt.Sprint("a", i), filter(i), start.Add(time.Duration(i)*time.Second))
			}
			text := strings.Repeat("x", 20_000)
			most := int64(0)
			for i := range 1500 {
				b.Publish(message(fmt.Sprint("t/", i%198), 1, false, text))
				most = max(most, b.held)
			}
			if most > cfg.Budget+30_000 {
				t.Errorf("sessions held %d bytes, want %d at most", most, cfg.Budget)
			}
			if b.stats.Evicted == 0 || b.sessions["honest"] == nil {
				t.Errorf("got %d evicted, honest there %v; want some, and the honest one kept", b.stats.Evicted,
					b.sessions["honest"] != nil)
			}
			if name == "each its own" && (b.sessions["a0"] != nil || b.sessions["a197"] == nil) {
				t.Error("want the oldest abandoned session to go first")
			}
			p := connect(t, b, 5, "new", true)
			p.subscribe("t/5", 1)
			if b.Publish(message("t/5", 1, false, "v")); len(texts(p.read())) != 1 {
				t.Error("a new client gets nothing")
			}
			for id := range b.sessions {
				b.remove(b.sessions[id])
			}
			if b.held != 0 {
				t.Errorf("%d bytes are held by no session", b.held)
			}
		})
	}
}

func TestAClientThatNeverReadsIsCutAtItsShare(t *testing.T) {
	b := New(Config{Share: 100_000}, "t")
	slow, healthy := connect(t, b, 5, "slow", false, hour...), connect(t, b, 5, "ok", true)
	slow.subscribe("#", 1)
	healthy.subscribe("#", 1)
	text := strings.Repeat("x", 1000)
	for i := range 500 {
		b.Publish(message("t", byte(i%2), false, text))
		for _, a := range healthy.read() {
			if a.qos == 1 {
				healthy.ack(packet.Puback, a.id)
			}
		}
		if s := b.sessions["slow"]; s != nil && s.charge > 110_000 {
			t.Fatalf("the session holds %d bytes, want 100,000 and a message", s.charge)
		}
	}
	got := slow.read()
	if !slow.ended || got[len(got)-1].code != byte(quotaExceeded) || b.sessions["slow"] != nil ||
		b.stats.Evicted != 1 ||
		b.stats.Dropped == 0 {
		t.Errorf("got %v, ended %v, %+v; want a DISCONNECT with 0x97 and the session gone", got[len(got)-1], slow.ended,
			b.stats)
	}
	slow.c.Close(start)
	if b.sessions["ok"] == nil || b.stats.Sent != 500 {
		t.Errorf("got %d messages sent to the healthy client, want 500", b.stats.Sent)
	}
	if again := connect(t, b, 5, "slow", false, hour...); again.c.session == nil {
		t.Error("the client cannot come back")
	}
}

func TestThereIsAlwaysRoomForANewSession(t *testing.T) {
	b := New(Config{Sessions: 10}, "t")
	abandon(t, b, "10.0.0.9", "honest", "#", start.Add(-time.Hour))
	for i := range 100 {
		abandon(t, b, "10.0.0.1", fmt.Sprint("a", i), "#", start.Add(time.Duration(i)*time.Second))
	}
	p := connect(t, b, 4, "new", true)
	if len(b.sessions) != 10 || p.c.session == nil || b.sessions["honest"] == nil || b.sessions["a99"] == nil {
		t.Errorf("got %d sessions, want 10 with the honest, the newest and the new one", len(b.sessions))
	}
}

// TestRetainedMessagesInFlightAreBounded subscribes to large retained messages
// and acknowledges none.
func TestRetainedMessagesInFlightAreBounded(t *testing.T) {
	b := New(Config{}, "t")
	text := strings.Repeat("x", 300_000)
	for i := range 100 {
		b.Publish(message(fmt.Sprint(i), 1, true, text))
	}
	p := connect(t, b, 5, "a", true)
	n := len(texts(p.subscribe("#", 1)))
	if n == 0 || b.held > maxFlightBytes+1_000_000 {
		t.Errorf("got %d messages and %d bytes held, want a few", n, b.held)
	}
}

func TestALaggingClientGetsAMoment(t *testing.T) {
	b := New(Config{}, "t")
	p := connect(t, b, 5, "a", true)
	p.subscribe("#", 0)
	for range lagDeliveries + 1 {
		b.Publish(message("t", 0, false, "v"))
	}
	p.c.moved = start // the SUBACK
	if !b.Lagging(start) || b.Lagging(start.Add(stillTime)) {
		t.Error("want a client that reads to get a moment, and one that stopped none")
	}
	if p.c.moved = start.Add(maxLag); b.Lagging(start.Add(maxLag)) {
		t.Error("want a client to get a second at most")
	}
	p.read()
	if b.Lagging(start.Add(maxLag)); !p.c.behind.IsZero() {
		t.Error("a client that caught up lags")
	}
}

// TestSubscriptionsCountAgainstTheBudget fills all sessions with long filters.
func TestSubscriptionsCountAgainstTheBudget(t *testing.T) {
	b := New(Config{Budget: 2 << 20}, "t")
	long := strings.Repeat("x", 50_000)
	for i := range 100 {
		p := newPeer(t, b, 5, "10.0.0.1")
		p.connect(fmt.Sprint("a", i), "", false, hour...)
		p.read()
		p.subscribe(long+fmt.Sprint(i), 1)
		p.c.Close(start.Add(time.Duration(i) * time.Second))
	}
	if b.held > b.cfg.Budget || b.stats.Evicted == 0 {
		t.Errorf("%d bytes are held and %d sessions evicted, want %d bytes at most", b.held, b.stats.Evicted,
			b.cfg.Budget)
	}
}

// TestWhatIsBeingWrittenCountsForItsClient takes a large QoS 0 message to a socket
// that is full: its client is the one to go, not an honest one.
func TestWhatIsBeingWrittenCountsForItsClient(t *testing.T) {
	b := New(Config{Budget: 500_000}, "t")
	abandon(t, b, "10.0.0.9", "honest", "h", start)
	p := connect(t, b, 5, "slow", true)
	p.subscribe("t", 0)
	b.Publish(message("t", 0, false, strings.Repeat("x", 400_000)))
	p.c.Next(start)
	b.Publish(message("h", 1, false, strings.Repeat("x", 200_000)))
	if b.sessions["honest"] == nil || b.sessions["slow"] != nil {
		t.Errorf("got %d sessions, want the honest one alone", len(b.sessions))
	}
	if p.c.Close(start); b.held > 250_000 {
		t.Errorf("%d bytes are held after the end", b.held)
	}
}

// TestALargeMessageInFlightIsChargedOnce has a message of two thirds of the share on its way.
func TestALargeMessageInFlightIsChargedOnce(t *testing.T) {
	for qos := byte(1); qos <= 2; qos++ {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			b := New(Config{Share: 3 << 20}, "t")
			p := connect(t, b, 5, "a", true)
			p.subscribe("t", qos)
			charge := b.sessions["a"].charge
			b.Publish(message("t", qos, false, strings.Repeat("x", 2<<20)))
			p.c.Next(start)
			b.Publish(message("t", qos, false, "v"))
			if b.stats.Evicted != 0 {
				t.Fatal("the session was evicted, want it kept: it holds two thirds of its share")
			}
			p.ack(map[byte]byte{1: packet.Puback, 2: packet.Pubrec}[qos], 1) // before it was written
			if got := b.sessions["a"].charge; got < 2<<20 {
				t.Errorf("%d bytes are charged while the message is written, want its size", got)
			}
			for _, a := range p.read() {
				if a.id == 2 {
					p.ack(map[byte]byte{1: packet.Puback, 2: packet.Pubrec}[qos], 2)
				}
			}
			p.read()
			if got := b.sessions["a"].charge; got != charge || b.stats.Evicted != 0 {
				t.Errorf("%d bytes are charged and %d sessions evicted at the end, want %d and none", got,
					b.stats.Evicted, charge)
			}
		})
	}
}

// TestOldRetainedValuesAreLetGo replaces a large value many times.
func TestOldRetainedValuesAreLetGo(t *testing.T) {
	b := New(Config{}, "t")
	for i := range 1000 {
		b.Publish(message("t", 1, true, fmt.Sprint(i)))
		kept := 0
		for _, e := range b.retained.log {
			if e.message != nil {
				kept++
			}
		}
		if kept != 1 || len(b.retained.log) > spareLog+2 {
			t.Fatalf("after %d values: %d are kept in %d entries, want one", i+1, kept, len(b.retained.log))
		}
	}
}
