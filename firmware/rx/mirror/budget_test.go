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
