package mirror

import (
	"fmt"
	"testing"

	"heliograph/firmware/conduit/record"
)

// scene is a channel and what it delivered.
type scene struct {
	*Channel
	got []string
}

func newScene() *scene {
	s := &scene{}
	s.Channel = New(func(u Update) {
		word := "state"
		switch {
		case u.Delete && u.Event:
			word = "clear"
		case u.Delete:
			word = "gone"
		case u.Event:
			word = "event"
		}
		s.got = append(s.got, fmt.Sprintf("%s %s=%s", word, u.Key, u.Payload))
	})
	s.Begin(true)
	return s
}

func (s *scene) event(seq uint64) {
	s.Update(&record.Update{Seq: seq, Event: true, Payload: fmt.Append(nil, seq)})
}

func (s *scene) set(seq, born uint64, key, value string) {
	s.Update(&record.Update{Seq: seq, Created: born, Key: []byte(key), Payload: []byte(value)})
}

func (s *scene) del(seq, born uint64, key string) {
	s.Update(&record.Update{Seq: seq, Created: born, Key: []byte(key), Delete: true})
}

// page sends one page; entries are (key, value, seq, born).
func (s *scene) page(t *testing.T, p record.Page, entries ...record.Entry) {
	t.Helper()
	b := record.AppendPage(nil, &p)
	run := record.Run{Created: p.From}
	for i := range entries {
		b = run.AppendEntry(b, &entries[i])
	}
	var back record.Page
	if err := back.Parse(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Page(&back); err != nil {
		t.Fatal(err)
	}
}

func entry(key, value string, seq, born uint64) record.Entry {
	return record.Entry{Seq: seq, Created: born, Key: []byte(key), Payload: []byte(value)}
}

func (s *scene) whole(seq uint64) { s.Totals(&record.Totals{Seq: seq, State: 1}) }

func (s *scene) expect(t *testing.T, counts Counts, complete bool, delivered ...string) {
	t.Helper()
	st := s.Status()
	if st.Counts != counts || st.Complete != complete {
		t.Errorf("got %+v, complete %v; want %+v, complete %v", st.Counts, st.Complete, counts, complete)
	}
	if fmt.Sprint(s.got) != fmt.Sprint(delivered) {
		t.Errorf("delivered %q, want %q", s.got, delivered)
	}
}

func TestAGapIsALoss(t *testing.T) {
	s := newScene()
	s.event(1)
	s.event(4)
	s.expect(t, Counts{Delivered: 2, Lost: 2}, false, "event =1", "event =4")
}

func TestTotalsRevealALostTail(t *testing.T) {
	s := newScene()
	s.event(1)
	s.whole(3)
	s.expect(t, Counts{Delivered: 1, Lost: 2}, false, "event =1")
}

func TestALateReceiverKnowsWhatItMissed(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.event(100)
	s.expect(t, Counts{Delivered: 1, Unknown: 99}, false, "event =100")
}

func TestAPageRestoresLostState(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(3, 1, "k", "c") // 2 was lost: another key
	s.whole(4)            // 4 was lost: a newer value of k
	s.page(t, record.Page{Last: true, Seq: 4, To: 4}, entry("k", "d", 4, 1), entry("l", "x", 2, 2))
	s.expect(t, Counts{Delivered: 4, Lost: 0}, true, "state k=a", "state k=c", "state k=d", "state l=x")
}

func TestAPageDeliversNothingThatIsKnown(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.whole(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 1}, true, "state k=a")
}

func TestAPageDoesNotOvertakeLiveRecords(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.whole(1)
	s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("k", "c", 3, 1))
	s.set(2, 1, "k", "b")
	s.set(3, 1, "k", "c")
	s.expect(t, Counts{Delivered: 3}, true, "state k=a", "state k=b", "state k=c")
}

func TestALostDeletionIsFoundByTheRound(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(2, 2, "l", "b")
	s.whole(2)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("k", "a", 1, 1), entry("l", "b", 2, 2))
	s.whole(3) // 3, the deletion of k, was lost
	s.expect(t, Counts{Delivered: 2, Lost: 1}, false, "state k=a", "state l=b")
	s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("l", "b", 2, 2))
	s.expect(t, Counts{Delivered: 2, Lost: 1}, true, "state k=a", "state l=b", "gone k=")
}

func TestAnOldPageDoesNotResurrect(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.del(2, 1, "k")
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	if len(s.keys) != 0 || len(s.graves) != 1 {
		t.Errorf("got %d keys, %d graves; want 0, 1", len(s.keys), len(s.graves))
	}
	s.page(t, record.Page{Last: true, Seq: 2, To: 2})
	if len(s.graves) != 0 {
		t.Errorf("got %d graves after a later page, want none", len(s.graves))
	}
	s.expect(t, Counts{Delivered: 2}, false, "state k=a", "gone k=")
}

func TestARoundClosesWhereItBegan(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "2")
	s.set(3, 3, "c", "3")
	s.whole(3)
	last := record.Page{From: 2, To: 3, Last: true, Seq: 3}
	s.page(t, record.Page{From: 1, To: 2, Seq: 3}, entry("b", "2", 2, 2)) // joined in the middle
	s.page(t, last, entry("c", "3", 3, 3))
	if s.Status().Complete {
		t.Error("complete although the first key was never listed")
	}
	s.page(t, record.Page{From: 0, To: 1, Seq: 3}, entry("a", "1", 1, 1))
	if !s.Status().Complete {
		t.Error("not complete after the whole circle")
	}
	s.page(t, last, entry("c", "3", 3, 3)) // a page is missing: the next round is broken
	s.page(t, record.Page{From: 0, To: 1, Seq: 3}, entry("a", "1", 1, 1))
	s.page(t, record.Page{From: 1, To: 2, Seq: 3}, entry("b", "2", 2, 2))
	if len(s.keys) != 3 || len(s.got) != 3 {
		t.Errorf("a round that began anew swept what its first page listed: got %d keys, %q; want 3", len(s.keys), s.got)
	}
}

func TestPartialPicturesAreNotComplete(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.Totals(&record.Totals{Seq: 1, Partial: true})
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	if s.Status().Complete {
		t.Error("complete while the source's first picture is not whole")
	}
	s.whole(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	if !s.Status().Complete {
		t.Error("not complete after the picture was whole")
	}
}

func TestAChannelOfEventsAloneIsComplete(t *testing.T) {
	s := newScene()
	s.whole(0)
	s.Manifest(&record.Manifest{Seq: 0})
	s.event(1)
	s.expect(t, Counts{Delivered: 1}, true, "event =1")
}

func TestAManifestThatDisagreesBreaksTheRound(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.whole(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	s.Manifest(&record.Manifest{Seq: 1, Keys: 1, Hash: record.KeyHash([]byte("a"), 1)})
	if st := s.Status(); !st.Complete || st.Mismatches != 0 {
		t.Errorf("agreeing manifest: got %+v", st)
	}
	s.Manifest(&record.Manifest{Seq: 1, Keys: 1, Hash: 1})
	if st := s.Status(); st.Complete || st.Mismatches != 1 {
		t.Errorf("disagreeing manifest: got %+v", st)
	}
}

func TestANewEpochRepeatsNothing(t *testing.T) {
	s := newScene()
	s.set(1, 1, "same", "1")
	s.set(2, 2, "other", "2")
	s.set(3, 3, "gone", "3")
	s.whole(3)
	s.Begin(true)
	s.set(1, 1, "same", "1")
	s.set(2, 2, "other", "changed")
	s.whole(2)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("same", "1", 1, 1), entry("other", "changed", 2, 2))
	s.expect(t, Counts{Delivered: 5}, true, "state same=1", "state other=2", "state gone=3", "state other=changed", "gone gone=")
}

func TestLiveRetainedMessagesAreAlwaysDelivered(t *testing.T) {
	s := newScene()
	for seq := uint64(1); seq <= 2; seq++ {
		s.Update(&record.Update{Seq: seq, Created: 1, Key: []byte("k"), Payload: []byte("v"), Event: true})
	}
	s.expect(t, Counts{Delivered: 2}, false, "event k=v", "event k=v")
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
			a := s.Account()
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

// What waited in memory alone is delivered after an end in order, which brought it
// to disk, and unknown after a crash.
func TestWhatWaitedInMemoryIsUnknownAfterACrash(t *testing.T) {
	for _, c := range []struct {
		name     string
		volatile uint64
		exact    bool
		want     Counts
	}{
		{"in order", 3, true, Counts{Delivered: 5}},
		{"after a crash", 3, false, Counts{Delivered: 2, Unknown: 3}},
		{"more than were delivered", 9, false, Counts{Unknown: 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			for seq := range uint64(5) {
				s.event(seq + 1)
			}
			a := s.Account()
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
			if again := s.Account(); again.Volatile != 0 {
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
			a := s.Account()
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
		{"heard throughout", []step{epoch, totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Lost: 2}},
		{"stated again", []step{epoch, totals(record.Totals{Earlier: 5}), totals(record.Totals{Seq: 1, Earlier: 5})}, 6, Counts{Delivered: 3, Lost: 3}},
		{"with conflated ones", []step{totals(record.Totals{Seq: 3, Conflated: 4}), epoch, totals(record.Totals{Earlier: 9})}, 9, Counts{Delivered: 3, Lost: 2, Conflated: 4}},
		{"receiver off, in order", []step{restart(true), epoch, totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Lost: 2}},
		{"receiver crashed", []step{restart(false), epoch, totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Unknown: 2}},
		{"crashed twice before any totals", []step{restart(false), epoch, restart(true), epoch, totals(record.Totals{Earlier: 5})}, 5, Counts{Delivered: 3, Unknown: 2}},
		{"a whole epoch not heard", []step{epoch, epoch, totals(record.Totals{Earlier: 905})}, 905, Counts{Delivered: 3, Lost: 902}},
		{"the transmitter's memory lost", []step{epoch, totals(record.Totals{}), epoch, totals(record.Totals{Earlier: 7})}, 10, Counts{Delivered: 3, Lost: 7}},
		{"the transmitter remembers less", []step{epoch, totals(record.Totals{Earlier: 2}), epoch, totals(record.Totals{Earlier: 6})}, 7, Counts{Delivered: 3, Lost: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			for seq := range uint64(3) {
				s.event(seq + 1)
			}
			s.whole(3)
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

func TestAFreshReceiverKnowsThatThereWereEarlierEpochs(t *testing.T) {
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

func TestKeysOfAnEarlierRunAreSweptOrDeliveredAnew(t *testing.T) {
	s := newScene()
	s.Recall([][]byte{[]byte("gone"), []byte("still")})
	s.Range(func(key, _ []byte) bool { t.Errorf("%q is in the picture without a value", key); return true })
	s.set(1, 1, "still", "1")
	s.whole(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("still", "1", 1, 1))
	s.expect(t, Counts{Delivered: 1}, true, "state still=1", "gone gone=")
}

func TestAPageTurnsTheUnknownIntoDelivered(t *testing.T) {
	s := newScene()
	a := s.Account() // of a run that crashed before it kept anything
	s = newScene()
	s.Resume(a, false)
	s.Begin(false)
	s.Continue(a, false)
	s.whole(2)
	s.expect(t, Counts{Unknown: 2}, false)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("k", "v", 2, 1))
	s.expect(t, Counts{Delivered: 1, Unknown: 1}, true, "state k=v")
}

func TestConfirmedMeansHeardSinceTheLastLoss(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "2")
	s.set(4, 2, "b", "4")
	if s.Confirmed([]byte("a")) || !s.Confirmed([]byte("b")) {
		t.Errorf("got a %v, b %v; want only b confirmed", s.Confirmed([]byte("a")), s.Confirmed([]byte("b")))
	}
}

// A transmitter that starts again may have a newer time for a value that is the same.
func TestStatesTellTheSourcesTime(t *testing.T) {
	s := newScene()
	at := func() (time int64) {
		s.States(func(_, _ []byte, t int64) bool { time = t; return true })
		return time
	}
	for _, want := range []int64{5, 6} {
		s.Begin(true)
		s.Update(&record.Update{Seq: 1, Created: 1, Time: want, Key: []byte("a"), Payload: []byte("1")})
		if got := at(); got != want {
			t.Errorf("the time is %d, want %d", got, want)
		}
	}
	if len(s.got) != 2 {
		t.Errorf("delivered %q, want the value twice: its time is newer", s.got)
	}
}
