package mirror

import (
	"testing"

	"heliograph/firmware/conduit/record"
)

func TestALateReceiverHoldsValuesUntilAPageNamesTheirKeys(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{3, "old"}, change{3, "new"}, change{4, "other"})
	s.expect(t, Counts{Unknown: 13}, false)
	s.page(t, record.Page{Last: true, Seq: 10, To: 10}, entry("k", "first", 3, 3), entry("l", "first", 4, 4),
		entry("m", "first", 9, 9))
	s.expect(t, Counts{Delivered: 3, Unknown: 10}, true, "state k=new", "state l=other", "state m=first")
	s.batch(t, 14, change{3, "newer"})
	s.expectState(t, "map[k:newer l:other m:first]")
}

func TestAPageThatIsNewerThanWhatIsHeldWins(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{3, "held"})
	s.totals(12) // 12 is lost
	s.page(t, record.Page{Last: true, Seq: 12, To: 12}, entry("k", "newest", 12, 3))
	s.expect(t, Counts{Delivered: 1, Unknown: 11}, true, "state k=newest")
}

func TestAKeyIsKeptAsAPlaceholderWhileItsValueIsOnItsWay(t *testing.T) {
	s := late(10)
	s.batch(t, 11, change{4, "held"})
	s.page(t, record.Page{Last: true, Seq: 14, To: 14}, entry("k", "13", 13, 3), entry("l", "14", 14, 4),
		entry("m", "12", 12, 12))
	s.expect(t, Counts{Delivered: 1, Unknown: 10}, true, "state l=held")
	s.expectState(t, "map[l:held]")
	s.set(12, 12, "m", "12")
	s.batch(t, 13, change{3, "13"}, change{4, "14"})
	hash := record.KeyHash([]byte("k"), 3) + record.KeyHash([]byte("l"), 4) + record.KeyHash([]byte("m"), 12)
	s.Manifest(&record.Manifest{Seq: 14, Keys: 3, Hash: hash})
	s.expect(t, Counts{Delivered: 4, Unknown: 10}, true, "state l=held", "state m=12", "state k=13", "state l=14")
}

func TestHeldValuesOfADeletedKeyAreDiscarded(t *testing.T) {
	for name, dies := range map[string]func(s *scene){
		"by its deletion": func(s *scene) { s.del(12, 3, "k") },
		"by a round that did not list it": func(s *scene) {
			s.totals(12) // 12, the deletion, is lost
			s.page(t, record.Page{Last: true, Seq: 12, To: 12})
		},
		"by a new epoch": func(s *scene) {
			s.Begin(false)
			s.totals(12)
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
	s.page(t, record.Page{Last: true, Seq: 14, To: 14}, entry("k", large, 11, 3), entry("l", "14", 14, 4),
		entry("m", "x", 13, 5))
	if got, want := s.Status().Counts, (Counts{Delivered: 3, Unknown: 11}); got != want || s.held.bytes != 0 {
		t.Errorf("got %+v, %d bytes held; want %+v, none", got, s.held.bytes, want)
	}
}
