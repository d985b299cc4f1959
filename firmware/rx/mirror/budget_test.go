package mirror

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"heliograph/firmware/conduit/record"
)

// TestStateBeyondItsBudgetIsLostAndReported checks what becomes of values for which
// there is no room: they count once, however often the carousel brings them.
func TestStateBeyondItsBudgetIsLostAndReported(t *testing.T) {
	s := newScene()
	s.Bound(&Budget{Channel: 3 * 1000, Total: 1 << 20})
	big := strings.Repeat("x", 1000)
	s.set(1, 1, "a", big)
	s.set(2, 2, "b", big)
	s.set(3, 3, "c", big) // beside the keys of a and b there is no room for it
	s.totals(3)
	pages := func() {
		s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("a", big, 1, 1), entry("b", big, 2, 2),
			entry("c", big, 3, 3))
	}
	pages()
	pages()
	s.expect(t, Counts{Delivered: 2, Lost: 1}, true, "state a="+big, "state b="+big)
	if st := s.Status(); st.Over != 1 || !st.Full || st.Keys != 3 {
		t.Errorf("got %d of %d keys without a value, full %v; want 1 of 3", st.Over, st.Keys, st.Full)
	}
	s.set(4, 3, "c", "small") // it fits
	s.set(5, 1, "a", big+big+big)
	if st := s.Status(); st.Over != 1 || st.Delivered != 3 || st.Lost != 2 {
		t.Errorf("got %+v, want c delivered and a lost", st)
	}
	s.Range(func(key, _ []byte) bool {
		if string(key) == "a" {
			t.Error("the old value of a is still shown as its newest")
		}
		return true
	})
	s.del(6, 1, "a")
	if st := s.Status(); st.Over != 0 || st.Full {
		t.Errorf("got %d keys without a value after a was deleted, want none", st.Over)
	}
}

// TestAValueLostForWantOfRoomLeavesTheOneBeforeUnconfirmed: the sink still has that one.
func TestAValueLostForWantOfRoomLeavesTheOneBeforeUnconfirmed(t *testing.T) {
	for name, arrive := range map[string]func(s *scene, seq uint64, value string){
		"by itself":  func(s *scene, seq uint64, value string) { s.set(seq, 1, "a", value) },
		"in a batch": func(s *scene, seq uint64, value string) { s.batch(t, seq, change{1, value}) },
		"in a page": func(s *scene, seq uint64, value string) {
			s.totals(seq) // its live record was lost
			s.page(t, record.Page{Last: true, Seq: seq, To: seq}, entry("a", value, seq, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.Bound(&Budget{Channel: 1 + keyOverhead + 10, Total: 1 << 20})
			s.set(1, 1, "a", "0123456789")
			s.totals(1)
			s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("a", "0123456789", 1, 1))
			if !s.Confirmed([]byte("a")) {
				t.Fatal("a value that arrived is not confirmed")
			}
			arrive(s, 2, "0123456789+")
			if st := s.Status(); s.Confirmed([]byte("a")) || st.Over != 1 || st.Lost != 1 {
				t.Errorf("confirmed %v, got %+v; want a newest value that is lost", s.Confirmed([]byte("a")), st)
			}
			if at := s.Holes(); len(at) != 1 || at[0].First.Number != 2 || at[0].Records != 1 {
				t.Errorf("holes %+v, want number 2", at)
			}
			if got := s.got[len(s.got)-1]; len(s.got) != 2 || got != "gone a=" || s.valueless != 1 {
				t.Errorf("delivered %q, %d without a value; want that a's is gone", s.got, s.valueless)
			}
			arrive(s, 3, "9876543210++")
			if len(s.got) != 2 {
				t.Errorf("delivered %q after another that did not fit", s.got)
			}
			arrive(s, 4, "9876543210")
			if st := s.Status(); !s.Confirmed([]byte("a")) || st.Over != 0 || !st.Complete {
				t.Errorf("confirmed %v, got %+v; want the newest value", s.Confirmed([]byte("a")), st)
			}
		})
	}
}

// TestAValueComesBackWhenThereIsRoomAgain checks that the carousel brings a value that was lost for
// want of room, and that it counts once.
func TestAValueComesBackWhenThereIsRoomAgain(t *testing.T) {
	big := strings.Repeat("x", 1000)
	want := func(t *testing.T, s *scene, c Counts) {
		t.Helper()
		if st := s.Status(); st.Counts != c || st.Over != 0 || !s.Confirmed([]byte("b")) {
			t.Errorf("got %+v, want %+v and no key without its value", st, c)
		}
		s.expectState(t, "map[b:"+big+"]")
	}
	for name, l := range map[string]Late{"nothing late": None, "in order": InOrder, "any order": AnyOrder} {
		lose := func(t *testing.T) *scene { // the value of b
			s := newScene()
			s.TakeLate(l)
			s.Bound(&Budget{Channel: 2 * 1000, Total: 1 << 20})
			s.set(1, 1, "a", big)
			s.set(2, 2, "b", big)
			s.totals(2)
			s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("a", big, 1, 1), entry("b", big, 2, 2))
			if st := s.Status(); st.Over != 1 || st.Lost != 1 {
				t.Fatalf("got %+v, want the value of b lost", st)
			}
			return s
		}
		t.Run(name, func(t *testing.T) {
			s := lose(t)
			s.del(3, 1, "a")
			for range 2 {
				s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("b", big, 2, 2))
			}
			want(t, s, Counts{Delivered: 3})
		})
		t.Run(name+", with a later value", func(t *testing.T) {
			s := lose(t)
			s.del(3, 1, "a")
			s.batch(t, 4, change{2, big})
			s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("b", "older", 2, 2))
			want(t, s, Counts{Delivered: 3, Lost: 1})
		})
		if l == None {
			continue
		}
		t.Run(name+", healed before", func(t *testing.T) {
			s := lose(t)
			s.replay(t, 1, 2, 2, 2)
			s.del(3, 1, "a")
			s.page(t, record.Page{Last: true, Seq: 3, To: 3}, entry("b", big, 2, 2))
			want(t, s, Counts{Delivered: 3, Healed: 1})
		})
	}
}

// TestAKeyOfAnEarlierRunWithoutRoomForItsValueIsGone: the sink's peer may have the value of that run.
func TestAKeyOfAnEarlierRunWithoutRoomForItsValueIsGone(t *testing.T) {
	s := newScene()
	s.Bound(&Budget{Channel: 2 * (1 + keyOverhead), Total: 1 << 20})
	s.Recall([][]byte{[]byte("a")})
	s.set(1, 1, "a", strings.Repeat("x", 1+keyOverhead+1))
	s.set(2, 2, "b", strings.Repeat("x", 1+keyOverhead+1)) // of this run
	s.expect(t, Counts{Lost: 2}, false, "gone a=")
}

// TestKeysBeyondTheBudgetAreNotKept checks that keys alone have a bound.
func TestKeysBeyondTheBudgetAreNotKept(t *testing.T) {
	s := newScene()
	s.Bound(&Budget{Channel: 100 * keyOverhead, Total: 1 << 20})
	for i := range uint64(1000) {
		s.set(i+1, i+1, fmt.Sprintf("%040d", i), "")
	}
	s.totals(1000)
	st := s.Status()
	if st.Keys > 120 || !st.Full || st.Complete || st.Delivered+st.Lost != 1000 {
		t.Errorf("got %+v, want about 100 keys and the others lost", st)
	}
}

// TestTheBudgetIsExact checks the running account of what is kept.
func TestTheBudgetIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := &Budget{Channel: 3000, Total: 5000}
	one, two := newScene(), newScene()
	one.Bound(b)
	two.Bound(b)
	var seq [2]uint64
	for step := range 20_000 {
		i := random.IntN(2)
		s := []*scene{one, two}[i]
		seq[i]++
		key := fmt.Sprint(random.IntN(8))
		created := uint64(1)
		if v := s.keys[key]; v != nil && v.created != 0 {
			created = v.created
		} else {
			created = seq[i]
		}
		if random.IntN(4) == 0 {
			s.del(seq[i], created, key)
		} else {
			s.set(seq[i], created, key, strings.Repeat("x", random.IntN(900)))
		}
		used := 0
		for _, s := range []*scene{one, two} {
			kept, over := 0, 0
			for key, v := range s.keys {
				kept += len(key) + keyOverhead + len(v.payload)
				if v.over {
					over++
				}
			}
			if s.bytes != kept || s.over != over || kept > b.Channel+b.Channel/keysBeyond {
				t.Fatalf("step %d: got %d bytes, %d over; want %d, %d", step, s.bytes, s.over, kept, over)
			}
			if st := s.Status(); st.Delivered+st.Lost != seq[map[*scene]int{one: 0, two: 1}[s]] {
				t.Fatalf("step %d: %+v of %d", step, st.Counts, seq)
			}
			used += kept
			s.got = nil
		}
		if b.used != used {
			t.Fatalf("step %d: got %d used, want %d", step, b.used, used)
		}
	}
}
