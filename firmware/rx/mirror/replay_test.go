package mirror

import (
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"

	"heliograph/firmware/conduit/record"
)

// healing is a scene whose sink takes late records.
func healing(l Late) *scene {
	s := &scene{}
	s.Channel = New(func(u Update) {
		word := "live"
		if u.Late {
			word = "late"
		}
		s.got = append(s.got, fmt.Sprintf("%s %s%s", word, u.Key, u.Payload))
	})
	s.TakeLate(l)
	s.At(1_000_000_000)
	s.Begin(true)
	s.Totals(&record.Totals{})
	return s
}

// replay sends a page of events; first < last, and numbers are those that left.
func (s *scene) replay(t *testing.T, epoch, first, last uint64, numbers ...uint64) {
	t.Helper()
	var w record.ReplayWriter
	w.Reset(first)
	for _, n := range numbers {
		w.Append(&record.Replayed{Seq: n, Event: true, Payload: fmt.Append(nil, n)})
	}
	if w.Last != last {
		w.Append(&record.Replayed{Seq: last, Event: true, Payload: fmt.Append(nil, last)})
	}
	s.replayBody(t, w.AppendReplay(nil, 0, epoch, nil))
}

func (s *scene) replayBody(t *testing.T, body []byte) {
	t.Helper()
	s.wait(t, body)
	s.heal(t)
}

// wait gives a page to the channel and heals nothing.
func (s *scene) wait(t *testing.T, body []byte) {
	t.Helper()
	var p record.Replay
	if err := p.Parse(body); err != nil {
		t.Fatal(err)
	}
	if err := s.Replay(&p, body); err != nil {
		t.Fatal(err)
	}
}

// heal works on the pages that wait until none does.
func (s *scene) heal(t *testing.T) {
	t.Helper()
	var r record.ReplayReader
	for s.Waits() {
		if _, err := s.Heal(&r); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *scene) windowFrom(epoch, first uint64) { s.Window(&record.Window{Epoch: epoch, First: first}) }

// lossy has received events 1, 2, 6, 7, 10 of an epoch.
func lossy(l Late) *scene {
	s := healing(l)
	for _, n := range []uint64{1, 2, 6, 7, 10} {
		s.At(int64(n) * 1_000_000_000)
		s.event(n)
	}
	s.got = nil
	return s
}

func TestReplayedRecordsHealHoles(t *testing.T) {
	for name, c := range map[string]struct {
		late Late
		do   func(t *testing.T, s *scene)
		want Counts
		got  []string
	}{
		"one page": {InOrder, func(t *testing.T, s *scene) { s.replay(t, 1, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) },
			Counts{Delivered: 10, Healed: 5}, []string{"late 3", "late 4", "late 5", "late 8", "late 9"}},
		"the same page again": {InOrder, func(t *testing.T, s *scene) {
			s.replay(t, 1, 3, 5, 3, 4, 5)
			s.replay(t, 1, 3, 5, 3, 4, 5)
		}, Counts{Delivered: 8, Healed: 3, Lost: 2}, []string{"late 3", "late 4", "late 5"}},
		"a number that never left": {InOrder, func(t *testing.T, s *scene) { s.replay(t, 1, 1, 9, 3, 5, 9) },
			Counts{Delivered: 8, Healed: 3, Lost: 2}, []string{"late 3", "late 5", "late 9"}},
		"a page before it is missing, in order": {InOrder, func(t *testing.T, s *scene) {
			s.replay(t, 1, 7, 9, 7, 8, 9)
		}, Counts{Delivered: 5, Lost: 5}, nil},
		"a page before it is missing, in any order": {AnyOrder, func(t *testing.T, s *scene) {
			s.replay(t, 1, 7, 9, 7, 8, 9)
		}, Counts{Delivered: 7, Healed: 2, Lost: 3}, []string{"late 8", "late 9"}},
		"what is before the window is final": {InOrder, func(t *testing.T, s *scene) {
			s.windowFrom(1, 5)
			s.replay(t, 1, 5, 9, 5, 8, 9)
		}, Counts{Delivered: 8, Healed: 3, Lost: 2}, []string{"late 5", "late 8", "late 9"}},
		"what no page of a pass has is final": {InOrder, func(t *testing.T, s *scene) {
			s.windowFrom(1, 1)
			s.replay(t, 1, 1, 2, 1, 2)
			s.replay(t, 1, 6, 9, 6, 8, 9)
		}, Counts{Delivered: 7, Healed: 2, Lost: 3}, []string{"late 8", "late 9"}},
		"unless something was missed": {InOrder, func(t *testing.T, s *scene) {
			s.windowFrom(1, 1)
			s.replay(t, 1, 1, 2, 1, 2)
			s.MissReplay()
			s.replay(t, 1, 6, 9, 6, 8, 9)
		}, Counts{Delivered: 5, Lost: 5}, nil},
		"a sink without late records": {None, func(t *testing.T, s *scene) {
			s.windowFrom(1, 1)
			s.replay(t, 1, 1, 10, 3, 4, 5)
		}, Counts{Delivered: 5, Lost: 5}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := lossy(c.late)
			c.do(t, s)
			s.expect(t, c.want, false, c.got...)
			if st := s.Status(); st.Sent != 10 {
				t.Errorf("got %d sent, want 10", st.Sent)
			}
		})
	}
}

// TestWhatWaitsIsNotLost checks what is given up while pages wait, which the transmitter does
// not have any more.
func TestWhatWaitsIsNotLost(t *testing.T) {
	events := func(first, last uint64) []byte {
		var w record.ReplayWriter
		w.Reset(first)
		for n := first; n <= last; n++ {
			w.Append(&record.Replayed{Seq: n, Event: true, Payload: fmt.Append(nil, n)})
		}
		return w.AppendReplay(nil, 0, 1, nil)
	}
	for name, c := range map[string]struct {
		late  Late
		pages [][2]uint64
		then  func(t *testing.T, s *scene)
		want  Counts
		got   []string
	}{
		"the window begins after all": {InOrder, [][2]uint64{{1, 10}},
			func(_ *testing.T, s *scene) { s.windowFrom(1, 11) },
			Counts{Delivered: 10, Healed: 5}, []string{"late 3", "late 4", "late 5", "late 8", "late 9"}},
		"the window begins within": {InOrder, [][2]uint64{{1, 4}, {5, 9}},
			func(_ *testing.T, s *scene) { s.windowFrom(1, 5) },
			Counts{Delivered: 10, Healed: 5}, []string{"late 3", "late 4", "late 5", "late 8", "late 9"}},
		"something is before and after what waits": {AnyOrder, [][2]uint64{{4, 4}, {5, 8}},
			func(_ *testing.T, s *scene) { s.windowFrom(1, 11) },
			Counts{Delivered: 8, Healed: 3, Lost: 2}, []string{"late 4", "late 5", "late 8"}},
		"the next page of a pass begins after": {AnyOrder, [][2]uint64{{1, 5}},
			func(t *testing.T, s *scene) {
				s.windowFrom(1, 1)
				s.wait(t, events(10, 10))
			},
			Counts{Delivered: 8, Healed: 3, Lost: 2}, []string{"late 3", "late 4", "late 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := lossy(c.late)
			s.ShareRoom(&Room{Limit: 1 << 20})
			for _, p := range c.pages {
				s.wait(t, events(p[0], p[1]))
			}
			c.then(t, s)
			s.heal(t)
			s.expect(t, c.want, false, c.got...)
			if open := s.Open(); open != 0 {
				t.Errorf("got %d open, want none", open)
			}
		})
	}
}

func TestHolesHaveTheTimesAroundThem(t *testing.T) {
	s := lossy(InOrder)
	s.windowFrom(1, 5)
	got := ""
	for _, h := range s.Holes() {
		got += fmt.Sprintf("%d–%d s: %d, final %v; ", h.From.Unix(), h.To.Unix(), h.Records, h.Final)
	}
	if want := "2–6 s: 2, final true; 2–6 s: 1, final false; 7–10 s: 2, final false; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A board that has just started may have a clock that is not set.
func TestAHoleDoesNotEndBeforeItBegan(t *testing.T) {
	s := lossy(InOrder)
	s.At(5)
	s.event(20)
	h := s.Holes()
	if last := h[len(h)-1]; last.Records != 9 || last.From.Unix() != 10 || last.To.Before(last.From) {
		t.Errorf("got %+v, want it from 10 s", last)
	}
}

// A late record is not the state, also where its number is the newest.
func TestALateRecordTouchesNoState(t *testing.T) {
	s := healing(InOrder)
	s.set(1, 1, "k", "a")
	s.totals(4) // 2: k is b; 3: k is gone; 4: k is c
	var w record.ReplayWriter
	w.Reset(1)
	for _, e := range []record.Replayed{{Seq: 1, Key: []byte("k"), Payload: []byte("a")},
		{Seq: 2, Key: []byte("k"), Payload: []byte("b")}, {Seq: 3, Key: []byte("k"), Delete: true},
		{Seq: 4, Key: []byte("k"), Payload: []byte("c")}} {
		w.Append(&e)
	}
	s.replayBody(t, w.AppendReplay(nil, 0, 1, nil))
	s.expectState(t, "map[k:a]")
	s.expect(t, Counts{Delivered: 4, Healed: 3}, false, "live ka", "late kb", "late k", "late kc")
	s.page(t, record.Page{Last: true, Seq: 4, To: 4}, entry("k", "c", 4, 4))
	s.expect(t, Counts{Delivered: 4, Healed: 3}, true, "live ka", "late kb", "late k", "late kc", "live kc")
}

func TestWhatTheCarouselRestoredIsNotHealed(t *testing.T) {
	s := healing(InOrder)
	s.set(1, 1, "k", "a")
	s.totals(3)
	s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("k", "c", 3, 1))
	s.replay(t, 1, 1, 3, 1, 2)
	s.expect(t, Counts{Delivered: 3, Healed: 1}, true, "live ka", "live kc", "late 2")
}

// Epoch 1 ends unseen, epoch 2 is not seen at all; the transmitter kept its window. What was
// conflated in the dark looks like a record that is missing.
func TestEarlierEpochsHeal(t *testing.T) {
	for name, c := range map[string]struct {
		resume func(*scene) *scene
		want   Counts
	}{
		"received throughout": {func(s *scene) *scene { return s }, Counts{Delivered: 9, Healed: 7, Lost: 1}},
		"after an end in order": {func(s *scene) *scene { return s.again(InOrder, true) },
			Counts{Delivered: 9, Healed: 7, Lost: 1}},
		"after a crash": {func(s *scene) *scene { return s.again(InOrder, false) },
			Counts{Delivered: 9, Healed: 7, Unknown: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := healing(InOrder)
			s.event(1)
			s.event(2)
			s = c.resume(s)
			s.Channel.Begin(3, true)
			s.got = nil
			s.Totals(&record.Totals{Seq: 1, Earlier: 9}) // 5 of epoch 1, 3 of epoch 2, 1 conflated
			s.windowFrom(1, 1)
			s.replay(t, 1, 1, 5, 1, 2, 3, 4, 5)
			s.replay(t, 2, 1, 3, 1, 2, 3)
			s.replay(t, 3, 1, 1, 1)
			s.expect(t, c.want, false, "late 3", "late 4", "late 5", "late 1", "late 2", "late 3", "late 1")
			if st := s.Status(); s.Open() != 0 || st.numbered() != st.Sent {
				t.Errorf("got %d open, %d of %d sent; want none open", s.Open(), st.numbered(), st.Sent)
			}
		})
	}
}

// again is a new run of the receiver.
func (s *scene) again(l Late, exact bool) *scene {
	a := s.Account(0, 1<<10)
	s = healing(l)
	next := New(s.Channel.deliver)
	next.TakeLate(l)
	next.At(2_000_000_000)
	next.Resume(a, exact)
	s.Channel = next
	return s
}

func TestALargePageHealsInParts(t *testing.T) {
	s := healing(InOrder)
	s.totals(1000)
	var numbers []uint64
	for n := uint64(1); n <= 1000; n++ {
		numbers = append(numbers, n)
	}
	var w record.ReplayWriter
	w.Reset(1)
	for _, n := range numbers {
		w.Append(&record.Replayed{Seq: n, Event: true, Payload: fmt.Append(nil, n)})
	}
	body := w.AppendReplay(nil, 0, 1, nil)
	var p record.Replay
	if err := p.Parse(body); err != nil {
		t.Fatal(err)
	}
	if err := s.Replay(&p, body); err != nil {
		t.Fatal(err)
	}
	for calls := 1; s.Waits(); calls++ {
		var reader record.ReplayReader // one that was used for another channel meanwhile
		if _, err := s.Heal(&reader); err != nil {
			t.Fatal(err)
		}
		if want := min(calls*maxAtOnce, 1000); len(s.got) != want || s.Open() != uint64(1000-want) {
			t.Fatalf("call %d: got %d delivered, %d open; want %d", calls, len(s.got), s.Open(), want)
		}
	}
	if s.got[999] != "late 1000" || s.waiting.room.used != 0 {
		t.Errorf("got %s last, %d bytes waiting", s.got[999], s.waiting.room.used)
	}
}

// BenchmarkReplayKnown is the cost of a page that has nothing that is missing, on a
// channel with many holes.
func BenchmarkReplayKnown(b *testing.B) {
	c, body := benchmarkPage(b, 0)
	var p record.Replay
	b.ReportAllocs()
	for b.Loop() {
		if p.Parse(body) != nil || c.Replay(&p, body) != nil {
			b.Fatal("malformed")
		}
	}
}

// BenchmarkReplayHeals is the cost of a page of 32 KiB all of which is missing.
func BenchmarkReplayHeals(b *testing.B) {
	c, body := benchmarkPage(b, 1)
	kept := c.holes
	var p record.Replay
	var r record.ReplayReader
	b.ReportAllocs()
	for b.Loop() {
		c.holes = kept
		c.holes.Add(1, 500_001, 502_000, false, 0, 0)
		if p.Parse(body) != nil || c.Replay(&p, body) != nil {
			b.Fatal("malformed")
		}
		for c.Waits() {
			if _, err := c.Heal(&r); err != nil {
				b.Fatal("malformed")
			}
		}
	}
}

func benchmarkPage(b *testing.B, extra uint64) (*Channel, []byte) {
	c := New(func(Update) {})
	c.TakeLate(AnyOrder)
	c.Begin(1, true)
	for n := range uint64(4000) {
		c.countArrival(100 * (n + 1))
	}
	c.countArrival(500_000)
	c.expect = 600_000
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		b.Fatal(err)
	}
	var w record.ReplayWriter
	w.Reset(500_001)
	for n := range uint64(2000) {
		w.Append(&record.Replayed{Seq: 500_001 + n, Time: int64(n+1) * 1_000_000,
			Key: fmt.Appendf(nil, "node %d", n%200), Payload: fmt.Appendf(nil, "%08d", n*extra)})
	}
	return c, w.AppendReplay(nil, 0, 1, encoder)
}
