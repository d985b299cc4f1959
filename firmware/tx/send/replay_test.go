package send

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/replay"
)

// fillLive makes a frame of live records.
func fillLive(m *Mux, now time.Time) (Filled, bool) {
	window := m.replay
	m.replay = nil
	defer func() { m.replay = window }()
	return m.Fill(now, nil, nil, ReplayTurn{})
}

// replayMux returns a mux with a replay window. No heartbeat, totals or carousel is due.
func replayMux(t *testing.T, room int, start time.Time) *Mux {
	t.Helper()
	w, err := replay.New(replay.Config{Epoch: 1, Limit: 16 << 20, Start: t0})
	if err != nil {
		t.Fatal(err)
	}
	return NewMux(MuxConfig{Room: room, CarouselShare: 0.25, Start: start, Replay: w})
}

// joined puts the items of one class together.
type joined struct {
	t      *testing.T
	kind   record.Kind
	body   []byte
	record func(record.Kind, []byte)
}

func (j *joined) payload(b []byte) {
	for {
		it, rest, err := record.NextItem(b)
		if err == io.EOF {
			return
		}
		if err != nil {
			j.t.Fatal(err)
		}
		if it.First != (j.body == nil) || !it.First && it.Kind != j.kind {
			j.t.Fatalf("an item of kind %d, first %v, after %d bytes of kind %d", it.Kind, it.First, len(j.body),
				j.kind)
		}
		j.kind, j.body, b = it.Kind, append(j.body, it.Body...), rest
		if it.Last {
			j.record(j.kind, j.body)
			j.body = nil
		}
	}
}

// numbers returns what replay pages of a channel say: the numbers that left, in the
// order given, and those of the pages' ranges that did not.
func numbers(t *testing.T, m *Mux, channel string, now time.Time) (left, never []uint64) {
	t.Helper()
	var reader record.ReplayReader
	j := joined{t: t, record: func(kind record.Kind, body []byte) {
		var p record.Replay
		if kind != record.KindReplay {
			return
		}
		if err := p.Parse(body); err != nil {
			t.Fatal(err)
		}
		next := p.First
		if err := reader.Entries(&p, func(e *record.Replayed) {
			for ; next < e.Seq; next++ {
				never = append(never, next)
			}
			next++
			left = append(left, e.Seq)
		}); err != nil {
			t.Fatal(err)
		}
		if p.Channel != record.ChannelID(channel) {
			t.Errorf("a page of channel %d", p.Channel)
		}
	}}
	for {
		f, ok := m.Fill(now, nil, nil, ReplayTurn{Idle: true})
		if !ok {
			return left, never
		}
		if f.Class == wire.Replay {
			j.payload(f.Payload)
		}
	}
}

func TestWhatHasLeftIsSentAgain(t *testing.T) {
	for name, room := range map[string]int{"datagram": 1400, "codeword": 205} {
		t.Run(name, func(t *testing.T) {
			m := replayMux(t, room, t0.Add(time.Hour))
			c := m.Channel("a", wire.LowLatency)
			gateway := m.Channel(record.Gateway, wire.LowLatency)
			var want []uint64
			for i := range uint64(1000) {
				mustPut(t, m, c, Record{Key: fmt.Appendf(nil, "k%d", i%100), Payload: fmt.Appendf(nil, "%d", i)})
				mustPut(t, m, gateway, Record{Key: []byte("k"), Payload: fmt.Appendf(nil, "%d", i)})
				if i%7 == 0 {
					for frames := true; frames; { // some leave one by one, some are conflated
						_, frames = fillLive(m, t0)
					}
				}
			}
			mustPut(t, m, c, Record{Payload: make([]byte, 5000), Event: true})
			left, never := numbers(t, m, "a", t0)
			for i := range c.seq {
				want = append(want, i+1)
			}
			if !slices.Equal(left, want) || never != nil {
				t.Errorf("got %d numbers and %d without an entry, want all %d", len(left), len(never), len(want))
			}
		})
	}
}

func TestDroppedAndRefusedNumbersNeverLeft(t *testing.T) {
	m := replayMux(t, 1400, t0.Add(time.Hour))
	c := m.Channel("a", wire.LowLatency)
	m.limits.Queued = 1000
	for range 10 {
		mustPut(t, m, c, Record{Payload: make([]byte, 300), Event: true})
	}
	if _, err := m.Put(c, Record{Payload: make([]byte, record.MaxRecord), Event: true}); err != ErrTooLarge {
		t.Fatalf("got %v, want %v", err, ErrTooLarge)
	}
	dropped := int(c.dropped)
	left, never := numbers(t, m, "a", t0)
	if dropped == 0 || len(left) != 10-dropped || len(never) != dropped+1 {
		t.Errorf("%d dropped, 1 refused: got %v left, and %v without an entry", dropped, left, never)
	}
}

func TestReplayWaitsForEverythingElse(t *testing.T) {
	m := replayMux(t, 1400, t0)
	live, bulk := m.Channel("a", wire.LowLatency), m.Channel("b", wire.Bulk)
	var got []wire.Class
	for range 3 {
		mustPut(t, m, live, Record{Payload: make([]byte, 2000), Event: true})
		mustPut(t, m, bulk, Record{Payload: make([]byte, 2000), Event: true})
	}
	for {
		f, ok := m.Fill(t0, nil, nil, ReplayTurn{Idle: true})
		if !ok {
			break
		}
		got = append(got, f.Class)
	}
	first := slices.Index(got, wire.Replay)
	if first < 0 || slices.ContainsFunc(got[first:], func(c wire.Class) bool { return c != wire.Replay }) {
		t.Errorf("got frames of classes %v, want those of replay last", got)
	}
	if m.Waiting() || m.Backlog() != 0 {
		t.Error("what is sent again counts as waiting")
	}
	if f, ok := m.Fill(t0.Add(time.Millisecond), nil, nil, ReplayTurn{Idle: true}); ok {
		t.Errorf("got a frame of class %v between two passes", f.Class)
	}
}

// TestReplayAndACarouselThatNeverEnds checks that neither keeps the other from sending,
// as a slow line with much state has both at all times.
func TestReplayAndACarouselThatNeverEnds(t *testing.T) {
	m := replayMux(t, 205, t0)
	c := m.Channel("a", wire.LowLatency)
	noise := rand.NewChaCha8([32]byte{})
	random := func(n int) []byte { b := make([]byte, n); noise.Read(b); return b }
	for i := range 5000 {
		mustPut(t, m, c, Record{Key: fmt.Appendf(nil, "k%d", i), Payload: random(100)})
	}
	now := t0
	for m.Waiting() {
		fillLive(m, now)
	}
	var bytes [wire.Classes]int
	for i := range 5000 {
		now = now.Add(2 * time.Millisecond)
		f, _ := m.Fill(now, nil, nil, ReplayTurn{Idle: true})
		if now.Sub(t0) > time.Second { // until then both may have come to an end
			bytes[f.Class] += len(f.Payload)
		}
		if i%3 > 0 { // two of five frames are live
			mustPut(t, m, c, Record{Payload: random(150), Event: true})
			f, _ := m.Fill(now, nil, nil, ReplayTurn{Idle: true})
			bytes[f.Class] += len(f.Payload)
		}
	}
	all := float64(bytes[wire.LowLatency] + bytes[wire.Bulk] + bytes[wire.Replay])
	carousel, again := float64(bytes[wire.Bulk])/all, float64(bytes[wire.Replay])/all
	if again < 0.12 || carousel < 0.99*again {
		t.Errorf("of the line the carousel had %.3f, replay %.3f; want the same, and the guaranteed 0.25 together",
			carousel, again)
	}
}

// TestReplayTakesNothingFromParity compares the parity of live records with and without a
// pass beside them: what it repairs must not come to depend on what is sent again.
func TestReplayTakesNothingFromParity(t *testing.T) {
	for name, c := range map[string]struct {
		profile wire.Profile
		rate    float64
		every   time.Duration // of records
	}{
		"datagrams":     {wire.DatagramProfile(1472, 66), 12.5e6, time.Millisecond},
		"UART":          {wire.UARTProfile(921600), 92160, 10 * time.Millisecond},
		"UART, crowded": {wire.UARTProfile(921600), 92160, 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			counts := func(m *Mux) FrameCounts {
				session, err := wire.NewSession(wire.PairKey{1}, 1, [16]byte{})
				if err != nil {
					t.Fatal(err)
				}
				ch := m.Channel("a", wire.LowLatency)
				s, p := NewSender(m, c.profile, c.rate, 0.25, session), NewPacer(c.rate, 0)
				for now := t0; now.Before(t0.Add(5 * time.Second)); now = now.Add(100 * time.Microsecond) {
					if now.Sub(t0)%c.every == 0 {
						mustPut(t, m, ch, Record{Payload: make([]byte, 30), Event: true})
					}
					_, cost, err := s.Frames(now, p.Budget(now, 3*time.Millisecond), p.Idle(now))
					if err != nil {
						t.Fatal(err)
					}
					p.Spend(now, cost)
					s.Sent()
				}
				return s.Counts()
			}
			with := counts(replayMux(t, c.profile.Payload(), t0))
			without := counts(NewMux(MuxConfig{Room: c.profile.Payload(), CarouselShare: 0.1, Start: t0}))
			got, want := float64(with.Parity)/float64(with.Source), float64(without.Parity)/float64(without.Source)
			if got < 0.95*want || with.Replay == 0 && name != "UART, crowded" {
				t.Errorf("%.2f frames of parity for each of records, %.2f without replay; %d frames of replay", got,
					want, with.Replay)
			}
		})
	}
}

// TestWithoutAWindowARefusedRecordIsOutOfReach checks that a receiver does not wait for it.
func TestWithoutAWindowARefusedRecordIsOutOfReach(t *testing.T) {
	w, err := replay.New(replay.Config{Epoch: 1, Start: t0})
	if err != nil {
		t.Fatal(err)
	}
	m := NewMux(MuxConfig{Room: 1400, CarouselShare: 0.25, Start: t0.Add(time.Hour), Replay: w})
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, ev("1"))
	frame(t, m)
	large := Record{Payload: make([]byte, record.MaxRecord+1), Event: true}
	if _, err := m.Put(c, large); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want %v", err, ErrTooLarge)
	}
	items, _, _ := frame(t, m)
	for _, it := range items {
		var window record.Window
		if it.Kind == record.KindWindow && window.Parse(it.Body) == nil {
			if window.First != 3 {
				t.Errorf("got a window that begins with %d, want 3, after the record that was refused", window.First)
			}
			return
		}
	}
	t.Errorf("got %v, want a statement of the window", items)
}
