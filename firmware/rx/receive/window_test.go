package receive

import (
	"math/rand/v2"
	"testing"
)

func TestWindow(t *testing.T) {
	type step struct {
		seq  uint64
		want bool
	}
	cases := map[string][]step{
		"in order, then repeated":  {{1, true}, {2, true}, {2, false}, {1, false}},
		"out of order":             {{10, true}, {5, true}, {9, true}, {5, false}},
		"zero is never used":       {{0, false}},
		"the edge of the window":   {{windowSize + 10, true}, {11, true}, {10, false}, {11, false}},
		"a leap clears the window": {{1, true}, {1 << 40, true}, {1<<40 - 1, true}, {1<<40 - windowSize, false}},
		"a leap of one window":     {{64, true}, {64 + windowWords*64, true}, {windowWords * 64, true}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			var w window
			for i, s := range steps {
				if got := w.accept(s.seq); got != s.want {
					t.Errorf("step %d, %d: got %v, want %v", i, s.seq, got, s.want)
				}
			}
		})
	}
	w := window{floor: 100, highest: 100}
	if w.accept(100) || w.accept(99) || !w.accept(101) {
		t.Error("what was used before a restart was accepted, or what was not refused")
	}
}

func TestWindowAgreesWithASet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var w window
	seen := map[uint64]bool{}
	at := uint64(1)
	for i := range 200_000 {
		at += uint64(rnd.IntN(3))
		seq := at - min(at-1, uint64(rnd.IntN(windowSize-10)))
		if got := w.accept(seq); got == seen[seq] {
			t.Fatalf("step %d: %d was seen %v, got %v (seed 5)", i, seq, seen[seq], got)
		}
		seen[seq] = true
	}
}

func TestSequencesUnwrap(t *testing.T) {
	for _, c := range []struct {
		highest uint64
		low     uint32
		want    uint64
	}{
		{5, 6, 6}, {1<<32 - 1, 3, 1<<32 + 3}, {1<<32 + 3, 0xffffffff, 1<<32 - 1}, {0, 0xffffffff, 0xffffffff},
		{1 << 40, 5, 1<<40 + 5},
	} {
		w := window{highest: c.highest}
		if got := w.full(c.low); got != c.want {
			t.Errorf("%d near %d: got %d, want %d", c.low, c.highest, got, c.want)
		}
	}
}
