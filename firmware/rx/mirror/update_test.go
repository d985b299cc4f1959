package mirror

import (
	"testing"

	"heliograph/firmware/conduit/record"
)

func TestANewEpochRepeatsNothing(t *testing.T) {
	s := newScene()
	s.set(1, 1, "same", "1")
	s.set(2, 2, "other", "2")
	s.set(3, 3, "gone", "3")
	s.totals(3)
	s.Begin(true)
	s.set(1, 1, "same", "1")
	s.set(2, 2, "other", "changed")
	s.totals(2)
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("same", "1", 1, 1), entry("other", "changed", 2, 2))
	s.expect(t, Counts{Delivered: 5}, true, "state same=1", "state other=2", "state gone=3", "state other=changed",
		"gone gone=")
}

func TestLiveRetainedMessagesAreAlwaysDelivered(t *testing.T) {
	s := newScene()
	for seq := uint64(1); seq <= 2; seq++ {
		s.Update(&record.Update{Seq: seq, Created: 1, Key: []byte("k"), Payload: []byte("v"), Event: true})
	}
	s.expect(t, Counts{Delivered: 2}, false, "event k=v", "event k=v")
}

func TestABatchNamesKeysByTheirCreation(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "1")
	s.batch(t, 3, change{2, "2"}, change{1, "2"}, change{2, "3"})
	s.expect(t, Counts{Delivered: 5}, false, "state a=1", "state b=1", "state b=2", "state a=2", "state b=3")
	s.batch(t, 8, change{1, "4"})
	s.expect(t, Counts{Delivered: 6, Lost: 2}, false, "state a=1", "state b=1", "state b=2", "state a=2", "state b=3",
		"state a=4")
}

func TestAnEarlierEpochsValueStaysUntilItsKeysNextComes(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "old")
	s.Begin(false)
	s.totals(10)
	s.page(t, record.Page{Last: true, Seq: 11, To: 11}, entry("k", "new", 11, 7))
	s.expectState(t, "map[k:old]")
	s.batch(t, 11, change{7, "new"})
	s.expectState(t, "map[k:new]")
}

func TestADeletedKeysCreationNamesNoKey(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.del(2, 1, "k")
	s.batch(t, 3, change{1, "x"})
	s.set(4, 4, "k", "b")
	s.batch(t, 5, change{1, "y"})
	s.expect(t, Counts{Delivered: 3, Unknown: 2}, false, "state k=a", "gone k=", "state k=b")
}

func TestAChangeAllocatesItsCopiesOnly(t *testing.T) {
	c := New(func(Update) {})
	c.Begin(1, true)
	c.Update(&record.Update{Seq: 1, Created: 1, Key: []byte("key"), Payload: []byte("value")})
	e := record.Entry{Seq: 1, Created: 1, Payload: []byte("value")}
	if got := testing.AllocsPerRun(100, func() { e.Seq++; c.applyChange(&e) }); got > 2 {
		t.Errorf("got %v allocations, want the key's and the payload's", got)
	}
}

func TestCreationsOfAnEarlierEpochNameNoKey(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.Begin(true)
	s.set(1, 1, "l", "b")
	s.set(2, 2, "k", "a")
	s.batch(t, 3, change{1, "c"}, change{2, "d"})
	s.expect(t, Counts{Delivered: 5}, false, "state k=a", "state l=b", "state l=c", "state k=d")
	s.Begin(true)
	s.batch(t, 2, change{1, "e"})
	s.expectState(t, "map[k:d l:c]")
}
