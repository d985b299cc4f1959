package mirror

import (
	"testing"

	"heliograph/firmware/conduit/record"
)

func TestAPageRestoresLostState(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(3, 1, "k", "c") // 2 was lost: another key
	s.totals(4)           // 4 was lost: a newer value of k
	s.page(t, record.Page{Last: true, Seq: 4, To: 4}, entry("k", "d", 4, 1), entry("l", "x", 2, 2))
	s.expect(t, Counts{Delivered: 4, Lost: 0}, true, "state k=a", "state k=c", "state k=d", "state l=x")
}

func TestAPageDeliversNothingThatIsKnown(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.totals(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 1}, true, "state k=a")
}

func TestAPageDoesNotOvertakeLiveRecords(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.totals(1)
	s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("k", "c", 3, 1))
	s.set(2, 1, "k", "b")
	s.set(3, 1, "k", "c")
	s.expect(t, Counts{Delivered: 3}, true, "state k=a", "state k=b", "state k=c")
}

func TestALostDeletionIsFoundByTheRound(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(2, 2, "l", "b")
	s.totals(2)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("k", "a", 1, 1), entry("l", "b", 2, 2))
	s.totals(3) // 3, the deletion of k, was lost
	s.expect(t, Counts{Delivered: 2, Lost: 1}, false, "state k=a", "state l=b")
	s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("l", "b", 2, 2))
	s.expect(t, Counts{Delivered: 2, Lost: 1}, true, "state k=a", "state l=b", "gone k=")
}

func TestAnOldPageDoesNotRestoreADeletedKey(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.del(2, 1, "k")
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	if len(s.keys) != 0 || !s.tombstones.has([]byte("k")) {
		t.Errorf("got %d keys, %d tombstones; want 0, 1", len(s.keys), len(s.tombstones.order))
	}
	s.page(t, record.Page{Last: true, Seq: 2, To: 2})
	if len(s.tombstones.order) != 0 {
		t.Errorf("got %d tombstones after a later page, want none", len(s.tombstones.order))
	}
	s.expect(t, Counts{Delivered: 2}, false, "state k=a", "gone k=")
}

func TestARoundClosesWhereItBegan(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "2")
	s.set(3, 3, "c", "3")
	s.totals(3)
	last := record.Page{From: 2, To: 3, Last: true, Seq: 3}
	s.page(t, record.Page{From: 1, To: 2, Seq: 3}, entry("b", "2", 2, 2)) // joined in the middle
	s.page(t, last, entry("c", "3", 3, 3))
	if s.Status().Complete {
		t.Error("complete although the first key was never listed")
	}
	s.page(t, record.Page{From: 0, To: 1, Seq: 3}, entry("a", "1", 1, 1))
	if !s.Status().Complete {
		t.Error("not complete after the complete circle")
	}
	s.page(t, last, entry("c", "3", 3, 3)) // a page is missing: the next round is broken
	s.page(t, record.Page{From: 0, To: 1, Seq: 3}, entry("a", "1", 1, 1))
	s.page(t, record.Page{From: 1, To: 2, Seq: 3}, entry("b", "2", 2, 2))
	if len(s.keys) != 3 || len(s.got) != 3 {
		t.Errorf("a round that restarted removed what its first page listed: got %d keys, %q; want 3", len(s.keys),
			s.got)
	}
}

func TestPartialSnapshotsAreNotComplete(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.Totals(&record.Totals{Seq: 1, Partial: true})
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	if s.Status().Complete {
		t.Error("complete while the source's initial snapshot is not complete")
	}
	s.totals(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	if !s.Status().Complete {
		t.Error("not complete after the initial snapshot was complete")
	}
}

// A source may begin again, with other keys, while its channel is complete.
func TestAChannelIsNotCompleteWhileItsSourceIsPartialAgain(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.totals(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "1", 1, 1))
	want := func(complete bool, when string) {
		t.Helper()
		if got := s.Status().Complete; got != complete {
			t.Errorf("%s: complete is %v, want %v", when, got, complete)
		}
	}
	want(true, "after a round")
	partial := &record.Totals{Seq: 1, Partial: true}
	s.Totals(partial)
	want(false, "while the source is partial")
	s.set(2, 2, "b", "2")
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("a", "1", 1, 1), entry("b", "2", 2, 2))
	want(false, "after a round of a part")
	s.totals(2)
	want(true, "with all of the source, and nothing lost")
	s.Totals(partial)
	s.totals(3) // the record before it was lost
	want(false, "with a loss while the source was partial")
}

func TestAChannelOfEventsAloneIsComplete(t *testing.T) {
	s := newScene()
	s.totals(0)
	s.Manifest(&record.Manifest{Seq: 0})
	s.event(1)
	s.expect(t, Counts{Delivered: 1}, true, "event =1")
}

func TestAManifestThatDisagreesBreaksTheRound(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.totals(1)
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

func TestConfirmedMeansReceivedSinceTheLastLoss(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "2")
	s.set(4, 2, "b", "4")
	if s.Confirmed([]byte("a")) || !s.Confirmed([]byte("b")) {
		t.Errorf("got a %v, b %v; want only b confirmed", s.Confirmed([]byte("a")), s.Confirmed([]byte("b")))
	}
}

func TestAPageOlderThanTheLastGapMakesNothingComplete(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(4, 4, "l", "b") // 2 and 3 are lost
	s.totals(4)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 2, Lost: 2}, false, "state k=a", "state l=b")
	if s.Confirmed([]byte("k")) {
		t.Error("an old page has confirmed a value")
	}
}

func TestARoundRemovesNoKeyCreatedAfterItsPages(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(2, 2, "l", "b")
	s.totals(2)
	s.page(t, record.Page{Seq: 2, From: 0, To: 1}, entry("k", "a", 1, 1))
	s.set(3, 3, "m", "c")
	s.page(t, record.Page{Seq: 2, From: 1, To: 2, Last: true}, entry("l", "b", 2, 2)) // closes a round, and m is of it
	s.set(4, 4, "n", "d")
	// a page is missing: another begins
	s.page(t, record.Page{Seq: 2, From: 1, To: 2, Last: true}, entry("l", "b", 2, 2))
	s.page(t, record.Page{Seq: 4, From: 0, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 4}, true, "state k=a", "state l=b", "state m=c", "state n=d")
}

func TestARecordOlderThanTheJoinConfirmsNothing(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.page(t, record.Page{Seq: 10, From: 0, To: 5}) // the live records up to 10 follow
	s.set(8, 8, "k", "a")                           // 9, its deletion, is lost
	s.totals(10)
	s.page(t, record.Page{Seq: 10, From: 5, To: 10, Last: true})
	s.expect(t, Counts{Delivered: 1, Unknown: 9}, true, "state k=a", "gone k=")
}
