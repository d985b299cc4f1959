package linktest

import (
	"slices"
	"testing"
)

// The first numbers of the reference implementation (prng.di.unimi.it) from state 1, 2, 3, 4.
func TestRandomIsXoshiro(t *testing.T) {
	r := random{s: [4]uint64{1, 2, 3, 4}}
	want := []uint64{
		11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600, 16172922978634559625,
		8476171486693032832, 10595114339597558777, 2904607092377533576,
	}
	var got []uint64
	for range want {
		got = append(got, r.next())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestStreamsOfOneSeedDiffer(t *testing.T) {
	var a, b, again random
	a.seed(7, 0)
	b.seed(7, 1)
	again.seed(7, 0)
	first := a.next()
	if first == b.next() {
		t.Error("two streams of a seed begin with the same number")
	}
	if got := again.next(); got != first {
		t.Errorf("the same stream of the same seed: got %d, want %d", got, first)
	}
}

func TestNumbersStayWithinTheirBounds(t *testing.T) {
	var r random
	r.seed(1, 0)
	var seen [8]int
	for range 10_000 {
		if f := r.fraction(); f < 0 || f >= 1 {
			t.Fatalf("a fraction of %v, want 0 to below 1", f)
		}
		seen[r.below(len(seen))]++
	}
	for n, count := range seen {
		if count < 1000 || count > 1500 {
			t.Errorf("%d came %d times of 10000, want about 1250", n, count)
		}
	}
}
