package linksim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

const channel = "cell-1"

// loss drops and corrupts single frames, independently.
func loss(seed uint64, drop, corrupt float64) func([]byte, func([]byte)) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return func(f []byte, deliver func([]byte)) {
		if rnd.Float64() < drop {
			return
		}
		if rnd.Float64() < corrupt {
			f[rnd.IntN(len(f))] ^= 1 << rnd.IntN(8)
		}
		deliver(f)
	}
}

func start(t *testing.T, p wire.Profile, rate float64, deliver func(mirror.Update)) (*Sim, *send.Channel,
	*mirror.Channel) {
	t.Helper()
	s := New(p, rate)
	s.StartRX(AdmitAll{})
	m := s.RX.Channel(channel, deliver)
	if err := s.StartTX(1); err != nil {
		t.Fatal(err)
	}
	return s, s.TX.Mux.Channel(channel, wire.LowLatency), m
}

func (s *Sim) mustRun(t *testing.T, d time.Duration, each func()) {
	t.Helper()
	if err := s.Run(d, each); err != nil {
		t.Fatal(err)
	}
}

// TestALargeRecordDelaysNoHeartbeat checks that a receiver does not take a slow line for dead
// while a record crosses it that takes several seconds.
func TestALargeRecordDelaysNoHeartbeat(t *testing.T) {
	const size = 60_000
	got := 0
	s, ch, m := start(t, wire.UARTProfile(115200), 11520, func(u mirror.Update) { got = len(u.Payload) })
	s.Impair = loss(42, 0.002, 0)
	s.Step = time.Millisecond
	s.mustRun(t, 2*time.Second, nil)
	if _, err := s.TX.Mux.Put(ch, send.Record{Payload: payload(0, size), Event: true}); err != nil {
		t.Fatal(err)
	}
	began, longest := s.Now, time.Duration(0)
	for got == 0 && s.Now.Sub(began) < 30*time.Second {
		s.mustRun(t, s.Step, nil)
		longest = max(longest, s.Now.Sub(s.RX.LastBeat))
	}
	st := m.Status()
	if took := s.Now.Sub(began); got != size || took < 5*time.Second || st.Lost != 0 || s.RX.Counts.Malformed != 0 {
		t.Errorf("got %d bytes after %s, %d lost, %d malformed", got, took, st.Lost, s.RX.Counts.Malformed)
	}
	if longest > 2*time.Second {
		t.Errorf("without a heartbeat for %s, want one each second", longest)
	}
}

func TestEventsArriveCompleteAndInOrder(t *testing.T) {
	udp, uart := wire.DatagramProfile(1472, 66), wire.UARTProfile(921600)
	cases := []struct {
		name           string
		profile        wire.Profile
		rate           float64
		size, perStep  int
		drop, corrupt  float64
		events, expect int
	}{
		{"clean datagrams", udp, 12.5e6, 200, 2, 0, 0, 20000, 20000},
		{"5 % loss and 1 % corruption", udp, 12.5e6, 200, 3, 0.05, 0.01, 20000, 20000},
		{"a saturated line with 5 % loss", udp, 12.5e6, 200, 20, 0.05, 0, 20000, 20000},
		{"a slow trickle with 5 % loss", udp, 12.5e6, 100, 0, 0.05, 0.01, 300, 300},
		{"records larger than a frame", udp, 12.5e6, 20000, 1, 0.05, 0.01, 300, 300},
		{"a slow UART", uart, 92160, 60, 0, 0.02, 0, 300, 300},
		{"a full UART", uart, 92160, 170, 1, 0.004, 0, 10000, 10000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			next, bad := 0, 0
			s, ch, m := start(t, c.profile, c.rate, func(u mirror.Update) {
				if want := payload(next, c.size); !bytes.Equal(u.Payload, want) || !u.Event {
					if bad++; bad < 5 {
						t.Errorf("event %d: got %.20q…, want %.20q…", next, u.Payload, want)
					}
				}
				next++
			})
			s.Impair = loss(42, c.drop, c.corrupt)
			sent, lefts, step := 0, 0, 0
			put := func() {
				n := c.perStep
				if step++; n == 0 && step%40 == 0 {
					n = 1
				}
				for ; n > 0 && sent < c.events; n-- {
					_, err := s.TX.Mux.Put(ch, send.Record{Payload: payload(sent, c.size), Event: true,
						Left: func(error) { lefts++ }})
					if errors.Is(err, send.ErrFull) {
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					sent++
				}
			}
			for sent < c.events || lefts < c.events {
				s.mustRun(t, 100*time.Millisecond, put)
			}
			s.mustRun(t, 3*time.Second, nil)
			st := m.Status()
			if c.drop > 0 && s.RX.Counts.Repaired == 0 {
				t.Errorf("nothing was repaired: %+v", s.RX.Counts)
			}
			if s.RX.Counts.Malformed != 0 {
				t.Errorf("%d frames made no sense", s.RX.Counts.Malformed)
			}
			if next != c.expect || st.Delivered != uint64(c.expect) || st.Lost != 0 || st.Unknown != 0 {
				t.Errorf("delivered %d, account %+v, frames %+v; want %d and no loss (seed 42)", next, st.Counts,
					s.RX.Counts, c.expect)
			}
		})
	}
}

func payload(i, size int) []byte {
	b := []byte(fmt.Sprintf("event %08d ", i))
	for len(b) < size {
		b = append(b, byte(i+len(b)))
	}
	return b
}

func TestLossIsCountedExactly(t *testing.T) {
	delivered := 0
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 12.5e6, func(mirror.Update) { delivered++ })
	s.Impair = loss(7, 0.6, 0) // far beyond what parity repairs
	sent := 0
	s.mustRun(t, 2*time.Second, func() {
		sent++
		if _, err := s.TX.Mux.Put(ch, send.Record{Payload: payload(sent, 300), Event: true}); err != nil {
			t.Fatal(err)
		}
	})
	s.Impair = nil
	s.mustRun(t, 4*time.Second, nil)
	st := m.Status()
	if st.Lost == 0 || int(st.Delivered) != delivered || int(st.Delivered+st.Lost+st.Unknown) != sent {
		t.Errorf("sent %d, delivered %d, account %+v; want loss, and the sum of the account to be what was sent", sent,
			delivered, st.Counts)
	}
}

// state is what a receiver has built from updates.
type state map[string]string

func (s state) deliver(u mirror.Update) {
	if u.Delete {
		delete(s, string(u.Key))
	} else {
		s[string(u.Key)] = string(u.Payload)
	}
}

func put(t *testing.T, s *Sim, ch *send.Channel, key, value string) {
	t.Helper()
	r := send.Record{Key: []byte(key), Payload: []byte(value), Delete: value == ""}
	if _, err := s.TX.Mux.Put(ch, r); err != nil {
		t.Fatal(err)
	}
}

func TestLateReceiverGetsSnapshot(t *testing.T) {
	for _, drop := range []float64{0, 0.05} {
		t.Run(fmt.Sprintf("loss %v", drop), func(t *testing.T) {
			s, ch, _ := start(t, wire.DatagramProfile(1472, 66), 12.5e6, func(mirror.Update) {})
			s.RX = nil
			for i := range 20000 {
				put(t, s, ch, fmt.Sprintf("key/%d", i), fmt.Sprintf("value %d", i))
			}
			for i := range 5000 {
				put(t, s, ch, fmt.Sprintf("key/%d", 3*i), "")
			}
			s.TX.Mux.SetComplete(ch, true)
			s.mustRun(t, 2500*time.Millisecond, nil)
			got := state{}
			s.StartRX(AdmitAll{})
			m := s.RX.Channel(channel, got.deliver)
			s.Impair = loss(3, drop, 0)
			i := 0
			s.mustRun(t, 4*time.Second, func() {
				i++
				put(t, s, ch, fmt.Sprintf("key/%d", 1+3*(i%1000)), "changed") // values change all the time
			})
			if st := m.Status(); !st.Complete || st.Keys != 15000 || len(got) != 15000 || st.Mismatches != 0 {
				t.Errorf("got %d keys, status %+v; want 15000, complete", len(got), st)
			}
			if got["key/2"] != "value 2" || got["key/1"] != "changed" {
				t.Errorf("got %q, %q", got["key/2"], got["key/1"])
			}
		})
	}
}

func TestARestartedTransmitterRemovesWhatIsGone(t *testing.T) {
	got := state{}
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 12.5e6, got.deliver)
	for i := range 100 {
		put(t, s, ch, fmt.Sprint(i), "old")
	}
	s.TX.Mux.SetComplete(ch, true)
	s.mustRun(t, 3*time.Second, nil)
	if err := s.StartTX(2); err != nil {
		t.Fatal(err)
	}
	ch = s.TX.Mux.Channel(channel, wire.LowLatency)
	s.mustRun(t, 5*time.Second, nil)
	if st := m.Status(); len(got) != 100 || st.Complete {
		t.Errorf("before the initial snapshot: got %d keys, %+v; want 100, not complete", len(got), st)
	}
	for i := range 50 {
		put(t, s, ch, fmt.Sprint(i), "new")
	}
	s.TX.Mux.SetComplete(ch, true)
	s.mustRun(t, 5*time.Second, nil)
	if st := m.Status(); len(got) != 50 || !st.Complete {
		t.Errorf("after it: got %d keys, %+v; want 50, complete", len(got), st)
	}
}

func TestLostStateIsRepairedByTheCarousel(t *testing.T) {
	got := state{}
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 12.5e6, got.deliver)
	for i := range 1000 {
		put(t, s, ch, fmt.Sprint(i), "first")
	}
	s.TX.Mux.SetComplete(ch, true)
	s.mustRun(t, 3*time.Second, nil)
	s.Impair = func([]byte, func([]byte)) {} // cut
	s.mustRun(t, 100*time.Millisecond, nil)
	for i := range 500 {
		put(t, s, ch, fmt.Sprint(2*i), "second")
	}
	put(t, s, ch, "1", "")
	s.mustRun(t, 200*time.Millisecond, nil)
	s.Impair = nil
	incomplete := false
	s.mustRun(t, 4*time.Second, func() { incomplete = incomplete || !m.Status().Complete })
	st := m.Status()
	if !incomplete || !st.Complete || len(got) != 999 || got["2"] != "second" || got["1"] != "" {
		t.Errorf("was incomplete: %v; now %+v, %d keys, %q", incomplete, st, len(got), got["2"])
	}
	if st.Delivered+st.Lost+st.Conflated != 1501 || st.Lost != 1 {
		t.Errorf("account: got %+v, want 1501 in all and the deletion lost", st.Counts)
	}
}

func TestStateIsConflatedAndCounted(t *testing.T) {
	got := state{}
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 1e5, got.deliver)
	s.TX.Mux.SetComplete(ch, true)
	n := 0
	s.mustRun(t, 2*time.Second, func() {
		for range 5 {
			n++
			put(t, s, ch, fmt.Sprint(n%10), fmt.Sprintf("%0100d", n))
		}
	})
	s.mustRun(t, 3*time.Second, nil)
	st := m.Status()
	if st.Conflated == 0 || st.Lost != 0 || int(st.Delivered+st.Conflated) != n {
		t.Errorf("sent %d, account %+v", n, st.Counts)
	}
	if want := fmt.Sprintf("%0100d", n); got[fmt.Sprint(n%10)] != want {
		t.Errorf("newest value: got %q, want %q", got[fmt.Sprint(n%10)], want)
	}
}

func TestAFullQueueDropsTheOldestAndCounts(t *testing.T) {
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 1e6, func(mirror.Update) {})
	refused := 0
	for i := range 2 * send.MaxQueuedEvents / 200 {
		for range 200 {
			dropped, err := s.TX.Mux.Put(ch, send.Record{Payload: payload(i, 20), Event: true})
			if err != nil {
				t.Fatal(err)
			}
			refused += len(dropped)
		}
	}
	s.mustRun(t, 20*time.Second, nil)
	st, c := m.Status(), s.TX.Mux.Counts(ch)
	if refused != send.MaxQueuedEvents || c.Dropped != uint64(refused) || st.Lost != c.Dropped ||
		st.Delivered+st.Lost != c.Sent {
		t.Errorf("dropped %d, TX %+v, RX %+v", refused, c, st.Counts)
	}
}

func TestOldFramesAreRefused(t *testing.T) {
	s, ch, m := start(t, wire.DatagramProfile(1472, 66), 12.5e6, func(mirror.Update) {})
	var recorded [][]byte
	s.Impair = func(f []byte, deliver func([]byte)) {
		recorded = append(recorded, bytes.Clone(f))
		deliver(f)
	}
	for i := range 100 {
		if _, err := s.TX.Mux.Put(ch, send.Record{Payload: payload(i, 20), Event: true}); err != nil {
			t.Fatal(err)
		}
	}
	s.mustRun(t, time.Second, nil)
	before := m.Status().Counts
	for _, f := range recorded {
		s.RX.Frame(s.Now, bytes.Clone(f))
	}
	if got := m.Status().Counts; got != before || s.RX.Opener.Counts().Replayed != uint64(len(recorded)) {
		t.Errorf("replay of %d frames: got %+v, counted %d; want %+v", len(recorded), got,
			s.RX.Opener.Counts().Replayed, before)
	}
}
