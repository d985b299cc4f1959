package demo

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestMissingNumbersAreRemovedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		remove []uint64
		want   string
		misses int // of those to remove
	}{
		"nothing":            {nil, "[{3 7} {10 10}]", 0},
		"first":              {[]uint64{3}, "[{4 7} {10 10}]", 0},
		"last":               {[]uint64{7}, "[{3 6} {10 10}]", 0},
		"middle":             {[]uint64{5}, "[{3 4} {6 7} {10 10}]", 0},
		"one alone":          {[]uint64{10}, "[{3 7}]", 0},
		"twice":              {[]uint64{5, 5}, "[{3 4} {6 7} {10 10}]", 1},
		"not missing":        {[]uint64{1, 2, 8, 9, 11}, "[{3 7} {10 10}]", 5},
		"all, highest first": {[]uint64{10, 7, 6, 5, 4, 3}, "[]", 0},
	} {
		var m missing
		m.add(3, 7)
		m.add(10, 10)
		misses := 0
		for _, n := range c.remove {
			if !m.remove(n) {
				misses++
			}
		}
		if got := fmt.Sprint(m.spans); got != c.want || misses != c.misses ||
			m.n != uint64(6-len(c.remove)+misses) {
			t.Errorf("%s: got %s, %d missing, %d were not; want %s, %d were not", name, got, m.n, misses, c.want,
				c.misses)
		}
	}
}

// TestMissingNumbersAreThoseOfASet compares with a map.
func TestMissingNumbersAreThoseOfASet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var m missing
	set, next := map[uint64]bool{}, uint64(1)
	for range 5000 {
		if random.IntN(10) == 0 {
			first := next + 1 + random.Uint64N(5)
			last := first + random.Uint64N(20)
			m.add(first, last)
			for n := first; n <= last; n++ {
				set[n] = true
			}
			next = last + 1
		}
		n := random.Uint64N(next + 1)
		if got := m.remove(n); got != set[n] {
			t.Fatalf("remove(%d) = %t, want %t of %v", n, got, set[n], m.spans)
		}
		if delete(set, n); m.n != uint64(len(set)) {
			t.Fatalf("got %d missing, want %d", m.n, len(set))
		}
	}
}
