package mirror

import (
	"fmt"
	"testing"

	"heliograph/firmware/conduit/record"
)

// change is a key's birth and its new value.
type change struct {
	born  uint64
	value string
}

func (s *scene) batch(t *testing.T, seq uint64, changes ...change) {
	t.Helper()
	body, run := record.AppendBatch(nil, 0, seq), record.Run{}
	for _, c := range changes {
		body = run.AppendChange(body, c.born, 0, []byte(c.value))
	}
	var b record.Batch
	if err := b.Parse(body); err != nil {
		t.Fatal(err)
	}
	if err := s.Batch(&b); err != nil {
		t.Fatal(err)
	}
}

// late returns a scene that heard the channel's totals after number seq.
func late(seq uint64) *scene {
	s := newScene()
	s.Begin(false)
	s.whole(seq)
	return s
}

func (s *scene) pictured(t *testing.T, want string) {
	t.Helper()
	got := map[string]string{}
	s.Range(func(key, payload []byte) bool { got[string(key)] = string(payload); return true })
	if fmt.Sprint(got) != want {
		t.Errorf("picture: got %v, want %s", got, want)
	}
}

func TestABatchNamesKeysByTheirBirth(t *testing.T) {
	s := newScene()
	s.set(1, 1, "a", "1")
	s.set(2, 2, "b", "1")
	s.batch(t, 3, change{2, "2"}, change{1, "2"}, change{2, "3"})
	s.expect(t, Counts{Delivered: 5}, false, "state a=1", "state b=1", "state b=2", "state a=2", "state b=3")
	s.batch(t, 8, change{1, "4"})
	s.expect(t, Counts{Delivered: 6, Lost: 2}, false, "state a=1", "state b=1", "state b=2", "state a=2", "state b=3", "state a=4")
}

func TestALateReceiverHoldsValuesUntilItKnowsTheirKeys(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{3, "old"}, change{3, "new"}, change{4, "other"})
	s.expect(t, Counts{Unknown: 13}, false)
	s.page(t, record.Page{Last: true, Seq: 10, To: 10}, entry("k", "first", 3, 3), entry("l", "first", 4, 4), entry("m", "first", 9, 9))
	s.expect(t, Counts{Delivered: 3, Unknown: 10}, true, "state k=new", "state l=other", "state m=first")
	s.batch(t, 14, change{3, "newer"})
	s.pictured(t, "map[k:newer l:other m:first]")
}

func TestAPageThatIsNewerThanWhatIsHeldWins(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{3, "held"})
	s.whole(12) // 12 is lost
	s.page(t, record.Page{Last: true, Seq: 12, To: 12}, entry("k", "newest", 12, 3))
	s.expect(t, Counts{Delivered: 1, Unknown: 11}, true, "state k=newest")
}

func TestAKeyIsNotedThoughItsValueIsOnItsWay(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{4, "held"})
	s.page(t, record.Page{Last: true, Seq: 14, To: 14}, entry("k", "13", 13, 3), entry("l", "14", 14, 4), entry("m", "12", 12, 12))
	s.expect(t, Counts{Delivered: 1, Unknown: 10}, true, "state l=held")
	s.pictured(t, "map[l:held]")
	s.set(12, 12, "m", "12")
	s.batch(t, 13, change{3, "13"}, change{4, "14"})
	s.Manifest(&record.Manifest{Seq: 14, Keys: 3, Hash: record.KeyHash([]byte("k"), 3) + record.KeyHash([]byte("l"), 4) + record.KeyHash([]byte("m"), 12)})
	s.expect(t, Counts{Delivered: 4, Unknown: 10}, true, "state l=held", "state m=12", "state k=13", "state l=14")
}

func TestAnEarlierEpochsValueStaysUntilItsKeysNextComes(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "old")
	s.Begin(false)
	s.whole(10)
	s.page(t, record.Page{Last: true, Seq: 11, To: 11}, entry("k", "new", 11, 7))
	s.pictured(t, "map[k:old]")
	s.batch(t, 11, change{7, "new"})
	s.pictured(t, "map[k:new]")
}

func TestWhatIsHeldOfADeadKeyIsDropped(t *testing.T) {
	for name, dies := range map[string]func(s *scene){
		"by its deletion": func(s *scene) { s.del(12, 3, "k") },
		"by a round that did not list it": func(s *scene) {
			s.whole(12) // 12, the deletion, is lost
			s.page(t, record.Page{Last: true, Seq: 12, To: 12})
		},
		"by a new epoch": func(s *scene) {
			s.Begin(false)
			s.whole(12)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := late(10)
			s.batch(t, 11, change{3, "dead"})
			dies(s)
			if n := len(s.held.values); n != 0 || s.held.bytes != 0 {
				t.Errorf("got %d values of %d bytes held, want none", n, s.held.bytes)
			}
			s.page(t, record.Page{Last: true, Seq: 11, To: 11}, entry("other", "alive", 3, 3))
			for _, got := range s.got {
				if got == "state other=dead" {
					t.Errorf("a dead key's value came back: %q", s.got)
				}
			}
		})
	}
}

func TestADeletedKeysBirthMeansNothingAnyMore(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.del(2, 1, "k")
	s.batch(t, 3, change{1, "x"})
	s.set(4, 4, "k", "b")
	s.batch(t, 5, change{1, "y"})
	s.expect(t, Counts{Delivered: 3, Unknown: 2}, false, "state k=a", "gone k=", "state k=b")
}

func TestAKeysFullRecordReplacesWhatIsHeld(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{3, "held"})
	s.set(12, 3, "k", "large")
	s.page(t, record.Page{Last: true, Seq: 12, To: 12}, entry("k", "large", 12, 3))
	s.expect(t, Counts{Delivered: 1, Unknown: 11}, true, "state k=large")
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	s := late(10)
	large := string(make([]byte, maxHeldBytes/2))
	s.batch(t, 11, change{3, large}, change{4, large})
	s.batch(t, 13, change{5, "x"}, change{4, "14"})
	s.expect(t, Counts{Unknown: 13, Lost: 1}, false)
	s.page(t, record.Page{Last: true, Seq: 14, To: 14}, entry("k", large, 11, 3), entry("l", "14", 14, 4), entry("m", "x", 13, 5))
	if got, want := s.Status().Counts, (Counts{Delivered: 3, Unknown: 11}); got != want || s.held.bytes != 0 {
		t.Errorf("got %+v, %d bytes held; want %+v, none", got, s.held.bytes, want)
	}
}

func TestAPageOlderThanTheLastGapMakesNothingComplete(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(4, 4, "l", "b") // 2 and 3 are lost
	s.whole(4)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 2, Lost: 2}, false, "state k=a", "state l=b")
	if s.Confirmed([]byte("k")) {
		t.Error("an old page has confirmed a value")
	}
}

func TestARoundSweepsNothingBornAfterItsPages(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(2, 2, "l", "b")
	s.whole(2)
	s.page(t, record.Page{Seq: 2, From: 0, To: 1}, entry("k", "a", 1, 1))
	s.set(3, 3, "m", "c")
	s.page(t, record.Page{Seq: 2, From: 1, To: 2, Last: true}, entry("l", "b", 2, 2)) // closes a round, and m is of it
	s.set(4, 4, "n", "d")
	s.page(t, record.Page{Seq: 2, From: 1, To: 2, Last: true}, entry("l", "b", 2, 2)) // a page is missing: another begins
	s.page(t, record.Page{Seq: 4, From: 0, To: 1}, entry("k", "a", 1, 1))
	s.expect(t, Counts{Delivered: 4}, true, "state k=a", "state l=b", "state m=c", "state n=d")
}

func TestARecordOlderThanTheJoinConfirmsNothing(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.page(t, record.Page{Seq: 10, From: 0, To: 5}) // the live records up to 10 follow
	s.set(8, 8, "k", "a")                           // 9, its deletion, is lost
	s.whole(10)
	s.page(t, record.Page{Seq: 10, From: 5, To: 10, Last: true})
	s.expect(t, Counts{Delivered: 1, Unknown: 9}, true, "state k=a", "gone k=")
}

func TestARecordThatAPageHasBroughtBeforeIsCountedOnce(t *testing.T) {
	s := newScene()
	s.Begin(false)
	s.page(t, record.Page{Seq: 10, Last: true, To: 10}, entry("k", "a", 9, 5))
	s.set(8, 5, "k", "older")
	s.batch(t, 9, change{5, "a"})
	s.expect(t, Counts{Delivered: 1, Unknown: 9}, false, "state k=a")
}

func TestAChangeAllocatesItsCopiesOnly(t *testing.T) {
	c := New(func(Update) {})
	c.Begin(true)
	c.Update(&record.Update{Seq: 1, Created: 1, Key: []byte("key"), Payload: []byte("value")})
	e := record.Entry{Seq: 1, Created: 1, Payload: []byte("value")}
	if got := testing.AllocsPerRun(100, func() { e.Seq++; c.change(&e) }); got > 2 {
		t.Errorf("got %v allocations, want the key's and the payload's", got)
	}
}

func TestBirthsOfAnEarlierEpochMeanNothing(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.Begin(true)
	s.set(1, 1, "l", "b")
	s.set(2, 2, "k", "a")
	s.batch(t, 3, change{1, "c"}, change{2, "d"})
	s.expect(t, Counts{Delivered: 5}, false, "state k=a", "state l=b", "state l=c", "state k=d")
	s.Begin(true)
	s.batch(t, 2, change{1, "e"})
	s.pictured(t, "map[k:d l:c]")
}
