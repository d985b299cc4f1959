package mirror

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
)

func TestAGapIsALoss(t *testing.T) {
	s := newScene()
	s.event(1)
	s.event(4)
	s.expect(t, Counts{Delivered: 2, Lost: 2}, false, "event =1", "event =4")
}

func TestTotalsRevealALostTail(t *testing.T) {
	s := newScene()
	s.event(1)
	s.totals(3)
	s.expect(t, Counts{Delivered: 1, Lost: 2}, false, "event =1")
}

func TestALateReceiverCountsWhatItMissedAsUnknown(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.event(100)
	s.expect(t, Counts{Delivered: 1, Unknown: 99}, false, "event =100")
}

func TestTheAccountGoesOnAfterARestart(t *testing.T) {
	for _, c := range []struct {
		name  string
		exact bool
		want  Counts
	}{
		{"in order", true, Counts{Delivered: 3, Lost: 2, Conflated: 7}},
		{"after a crash", false, Counts{Delivered: 3, Unknown: 2, Conflated: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.event(1)
			s.event(2)
			s.Totals(&record.Totals{Seq: 2, Conflated: 7})
			a := s.Account(0, 1<<10)
			s = newScene()
			s.Resume(a, c.exact)
			s.Begin(false)
			s.Continue(a, c.exact)
			s.event(5)
			s.Totals(&record.Totals{Seq: 5, Conflated: 7})
			s.expect(t, c.want, false, "event =5")
		})
	}
}

// A crash leaves the account with holes in short, in which more is missing than was.
func TestHolesInShortKeepTheBalance(t *testing.T) {
	s := healing(AnyOrder)
	s.event(1)
	s.event(102)
	for seq := uint64(10); seq < 100; seq += 2 {
		s.replay(t, 1, seq, seq, seq)
		s.MissReplay()
	}
	a := s.Account(0, 40)
	if len(a.Holes) > 40 {
		t.Fatalf("got %d bytes, want at most 40", len(a.Holes))
	}
	s.Channel = New(s.Channel.deliver)
	s.TakeLate(AnyOrder)
	s.Resume(a, false)
	s.Channel.Begin(1, false)
	s.Continue(a, false)
	if st := s.Status(); st.Delivered != 2 || st.Lost != 55 || st.Unknown != 45 || s.Open() != 100 {
		t.Errorf("got %+v, %d open; want what had been healed unknown", st, s.Open())
	}
	var all []uint64
	for seq := range uint64(100) {
		all = append(all, seq+2)
	}
	s.replay(t, 1, 2, 101, all...)
	if st := s.Status(); st.Delivered != 102 || st.Lost+st.Unknown != 0 || st.Sent != 102 {
		t.Errorf("got %+v, want all delivered", st)
	}
}

// Counters never fall: what expires after it was healed was healed all the same.
func TestWhatWasHealedStaysSo(t *testing.T) {
	s := healing(AnyOrder)
	s.event(1)
	s.event(4)
	s.replay(t, 1, 2, 3, 2, 3)
	s.Expired(3)
	s.Refused(1)
	if got, want := s.Status().Counts, (Counts{Healed: 2, Refused: 1, Expired: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a := s.Account(0, 1<<10)
	a.Healed = 9 // more than reached the sink
	s.Resume(a, true)
	if got := s.Status().Healed; got != 4 {
		t.Errorf("resumed: got %d healed, want 4", got)
	}
}

// A run joins an epoch of which 7 values were conflated, and ends before its first totals.
func TestWhatWasConflatedOutlivesARunWithoutTotals(t *testing.T) {
	s := newScene()
	s.event(1)
	s.Totals(&record.Totals{Seq: 1, Conflated: 7})
	for range 2 {
		a := s.Account(0, 1<<10)
		s = newScene()
		s.Channel = New(func(Update) {})
		s.Resume(a, true)
		s.Channel.Begin(1, false)
		s.Continue(a, true)
		if st := s.Status(); st.Conflated != 7 || st.Sent != 8 {
			t.Errorf("got %+v of %d sent, want 7 conflated of 8", st.Counts, st.Sent)
		}
	}
	s.Channel.Begin(2, true)
	s.Totals(&record.Totals{Earlier: 8})
	if st := s.Status(); st.Counts != (Counts{Delivered: 1, Conflated: 7}) || st.Sent != 8 {
		t.Errorf("got %+v of %d sent, want 1 delivered, 7 conflated", st.Counts, st.Sent)
	}
}

// A run in which no session opens hands on what it resumed, and what the sink's peer did
// not take meanwhile.
func TestTheAccountGoesOnWithoutASession(t *testing.T) {
	for _, c := range []struct {
		name  string
		exact bool
		want  Counts
	}{
		{"after an end in order", true, Counts{Delivered: 3, Refused: 1, Expired: 1, Lost: 3, Conflated: 9}},
		{"after a crash", false, Counts{Delivered: 2, Refused: 1, Expired: 1, Lost: 2, Unknown: 2, Conflated: 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			s.event(1)
			s.Totals(&record.Totals{Seq: 1, Conflated: 2})
			s.Begin(true)
			s.Totals(&record.Totals{Earlier: 5}) // 2 of epoch 1 are lost
			for seq := range uint64(3) {
				s.event(seq + 1)
			}
			s.Totals(&record.Totals{Seq: 3, Conflated: 7, Earlier: 5})
			a := s.Account(0, 1<<10)
			if !c.exact {
				a.Volatile = 1
			}
			for n := range 3 {
				s = &scene{Channel: New(func(Update) {})}
				s.Resume(a, c.exact)
				if n == 0 {
					s.Refused(1)
				} else if n == 1 {
					s.Expired(1)
				}
				a = s.Account(0, 1<<10)
			}
			s = &scene{Channel: New(func(Update) {})}
			s.Resume(a, c.exact)
			s.Channel.Begin(2, false)
			s.Continue(a, c.exact)
			s.event(5)
			s.Totals(&record.Totals{Seq: 5, Conflated: 7, Earlier: 5})
			if st := s.Status(); st.Counts != c.want || st.Sent != st.numbered()+st.Conflated {
				t.Errorf("got %+v of %d sent, want %+v", st.Counts, st.Sent, c.want)
			}
		})
	}
}

// What waited in memory alone is unknown to the next run, also when an end in order could not bring it
// to disk.
func TestWhatWaitedInMemoryIsUnknownToTheNextRun(t *testing.T) {
	for _, c := range []struct {
		name     string
		volatile uint64
		exact    bool
		want     Counts
	}{
		{"in order", 0, true, Counts{Delivered: 5}},
		{"in order, on a disk that failed", 3, true, Counts{Delivered: 2, Unknown: 3}},
		{"after a crash", 3, false, Counts{Delivered: 2, Unknown: 3}},
		{"more than were delivered", 9, false, Counts{Unknown: 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			for seq := range uint64(5) {
				s.event(seq + 1)
			}
			a := s.Account(0, 1<<10)
			a.Volatile = c.volatile
			for range 2 { // a run that ends before it keeps an account leaves the one before
				s = newScene()
				s.Resume(a, c.exact)
				s.Begin(false)
				s.Continue(a, c.exact)
			}
			if st := s.Status(); st.Counts != c.want || st.Sent != 5 {
				t.Errorf("got %+v, want %+v of 5", st, c.want)
			}
			if again := s.Account(0, 1<<10); again.Volatile != 0 {
				t.Errorf("the next account: got %d volatile", again.Volatile)
			}
		})
	}
}

// Three records arrive in epoch 1, two more do not, and the transmitter restarts.
func TestRecordsOfAnEarlierEpochAreAccountedFor(t *testing.T) {
	type step func(s *scene) *scene
	totals := func(t record.Totals) step {
		return func(s *scene) *scene { s.Totals(&t); return s }
	}
	epoch := func(s *scene) *scene { s.Begin(true); return s }
	restart := func(exact bool) step {
		return func(s *scene) *scene {
			a := s.Account(0, 1<<10)
			s = newScene()
			s.Channel = New(func(Update) {})
			s.Resume(a, exact)
			return s
		}
	}
	for _, c := range []struct {
		name  string
		steps []step
		sent  uint64
		want  Counts
	}{
		{"received throughout", []step{epoch, totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Lost: 2}},
		{"stated again", []step{epoch, totals(record.Totals{Earlier: 5}), totals(record.Totals{Seq: 1, Earlier: 5})}, 6,
			Counts{Delivered: 3, Lost: 3}},
		{"with conflated ones", []step{totals(record.Totals{Seq: 3, Conflated: 4}), epoch,
			totals(record.Totals{Earlier: 9})}, 9, Counts{Delivered: 3, Lost: 2, Conflated: 4}},
		{"receiver off, in order", []step{restart(true), epoch, totals(record.Totals{Earlier: 5})}, 5,
			Counts{Delivered: 3, Lost: 2}},
		{"receiver crashed", []step{restart(false), epoch, totals(record.Totals{Earlier: 5})}, 5,
			Counts{Delivered: 3, Unknown: 2}},
		{"crashed twice before any totals", []step{restart(false), epoch, restart(true), epoch,
			totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Unknown: 2}},
		{"an epoch of which nothing arrived", []step{epoch, epoch, totals(record.Totals{Earlier: 905})}, 905,
			Counts{Delivered: 3, Lost: 902}},
		{"the transmitter's memory lost", []step{epoch, totals(record.Totals{}), epoch,
			totals(record.Totals{Earlier: 7})},
			10, Counts{Delivered: 3, Lost: 7}},
		{"the transmitter remembers less", []step{epoch, totals(record.Totals{Earlier: 2}), epoch,
			totals(record.Totals{Earlier: 6})}, 7, Counts{Delivered: 3, Lost: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			for seq := range uint64(3) {
				s.event(seq + 1)
			}
			s.totals(3)
			for _, step := range c.steps {
				s = step(s)
			}
			st := s.Status()
			if st.Counts != c.want || st.Sent != c.sent {
				t.Errorf("got %+v of %d sent, want %+v of %d", st.Counts, st.Sent, c.want, c.sent)
			}
			if sum := st.numbered() + st.Conflated; sum != st.Sent {
				t.Errorf("the terms sum to %d, sent %d", sum, st.Sent)
			}
		})
	}
}

func TestAFreshReceiverCountsEarlierEpochsAsUnknown(t *testing.T) {
	s := newScene()
	s.Totals(&record.Totals{Seq: 1, Earlier: 40})
	if got := s.Status(); got.Sent != 41 || got.Unknown != 40 || got.Lost != 1 {
		t.Errorf("got %+v, want 41 sent, 40 unknown, 1 lost", got)
	}
}

func TestRefusedAndExpiredAreTermsOfTheirOwn(t *testing.T) {
	s := newScene()
	for seq := range uint64(5) {
		s.event(seq + 1)
	}
	s.Refused(2)
	s.Expired(1)
	if got, want := s.Status().Counts, (Counts{Delivered: 2, Refused: 2, Expired: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.Expired(7) // more than there are
	if got, want := s.Status().Counts, (Counts{Refused: 2, Expired: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAPageTurnsTheUnknownIntoDelivered(t *testing.T) {
	s := newScene()
	a := s.Account(0, 1<<10) // of a run that crashed before it kept anything
	s = newScene()
	s.Resume(a, false)
	s.Begin(false)
	s.Continue(a, false)
	s.totals(2)
	s.expect(t, Counts{Unknown: 2}, false)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("k", "v", 2, 1))
	s.expect(t, Counts{Delivered: 1, Unknown: 1}, true, "state k=v")
}

func TestARecordThatAPageHasBroughtBeforeIsCountedOnce(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.page(t, record.Page{Seq: 10, Last: true, To: 10}, entry("k", "a", 9, 5))
	s.set(8, 5, "k", "older")
	s.batch(t, 9, change{5, "a"})
	s.expect(t, Counts{Delivered: 1, Unknown: 9}, false, "state k=a")
}

// A run that crashed, and one that ended in order before anything arrived: what the first
// may have delivered is not known to the third either.
func TestWhatACrashLeftUnknownStaysSo(t *testing.T) {
	s := newScene()
	s.event(1)
	a := s.Account(0, 1<<10)
	for _, exact := range []bool{false, true} {
		s = newScene()
		s.Resume(a, exact)
		s.Channel.Begin(1, false)
		s.Continue(a, exact)
		a = s.Account(0, 1<<10)
	}
	s.event(5)
	s.expect(t, Counts{Delivered: 2, Unknown: 3}, false, "event =5")
}

// A channel that had nothing to say before an outage was not missing anything then: the
// totals of each second prove it, over a restart too.
func TestAHoleBeginsWithTheTotalsBeforeIt(t *testing.T) {
	at := func(s *scene, second int64) { s.now = second * int64(time.Second) }
	holes := func(s *scene) (list []string) {
		for _, h := range s.Holes() {
			list = append(list, fmt.Sprint(h.From.Unix(), "-", h.To.Unix(), ": ", h.Records))
		}
		return list
	}
	begin := func() *scene {
		s := newScene()
		at(s, 10)
		s.event(1)
		at(s, 100)
		s.totals(1)
		at(s, 110)
		return s
	}
	s := begin()
	s.event(4)
	if got, want := holes(s), []string{"100-110: 2"}; !slices.Equal(got, want) {
		t.Errorf("in one run: got %q, want %q", got, want)
	}
	s = begin()
	again := &scene{}
	again.Channel = New(func(Update) {})
	again.Resume(s.Account(0, 1<<20), true)
	at(again, 200)
	again.Channel.Begin(2, true)
	again.Totals(&record.Totals{Earlier: 8, State: record.SourceUp})
	if got, want := holes(again), []string{"100-200: 7"}; !slices.Equal(got, want) {
		t.Errorf("over a restart of both: got %q, want %q", got, want)
	}
}
