package receive

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// lost returns the losses of a session of n frames, of which all arrive in order but
// those that gone names; the newest are settled by a new session.
func lost(n uint64, gone func(seq uint64) bool) Losses {
	var s sequence
	s.begin(1)
	for seq := uint64(2); seq <= n; seq++ {
		if !gone(seq) {
			s.add(seq)
		}
	}
	s.begin(1)
	return s.losses
}

// bursts returns the runs in losses by their bound; 0 is beyond the last.
func bursts(l Losses) map[uint64]uint64 {
	got := map[uint64]uint64{}
	for i, count := range l.Bursts {
		if count > 0 {
			got[slices.Concat(BurstBounds(), []uint64{0})[i]] = count
		}
	}
	return got
}

func TestMissingFramesAreFoundWithTheirRuns(t *testing.T) {
	run := func(from, to uint64) func(uint64) bool {
		return func(seq uint64) bool { return seq >= from && seq <= to }
	}
	type runs = map[uint64]uint64
	every10th := func(seq uint64) bool { return seq%10 == 0 && seq < 9000 }
	interrupted := func(seq uint64) bool { return run(20, 40)(seq) && seq != 30 }
	cases := map[string]struct {
		gone    func(uint64) bool
		missing uint64
		bursts  runs
	}{
		"nothing":                    {run(1, 0), 0, runs{}},
		"one":                        {run(50, 50), 1, runs{1: 1}},
		"every tenth":                {every10th, 899, runs{1: 899}},
		"five in a run":              {run(100, 104), 5, runs{6: 1}},
		"as many as a word":          {run(100, 163), 64, runs{64: 1}},
		"one more than a word":       {run(100, 164), 65, runs{96: 1}},
		"longer than the window":     {run(10, 5009), 5000, runs{0: 1}},
		"two runs, one frame apart":  {interrupted, 20, runs{12: 2}},
		"behind the session's first": {run(2, 3), 2, runs{2: 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := lost(10_000, c.gone)
			if got.Expected != 10_000 || got.Missing != c.missing || got.Late != 0 {
				t.Errorf("got %d of %d missing, %d late; want %d of 10000", got.Missing, got.Expected, got.Late,
					c.missing)
			}
			if b := bursts(got); !maps.Equal(b, c.bursts) {
				t.Errorf("got runs %v, want %v", b, c.bursts)
			}
		})
	}
}

// Frames in any order within a word are not missing; beyond it they are late.
func TestReorderedFramesAreNotMissing(t *testing.T) {
	var s sequence
	s.begin(1)
	random := rand.New(rand.NewPCG(1, 2))
	for base := uint64(2); base < 5000; base += 32 {
		for _, n := range random.Perm(32) {
			s.add(base + uint64(n))
		}
	}
	s.begin(1)
	if s.losses.Missing != 0 || s.losses.Late != 0 {
		t.Errorf("got %+v, want nothing missing", s.losses)
	}
	s.add(200)
	s.add(100) // settled long ago
	if s.losses.Late != 1 || s.losses.Missing == 0 {
		t.Errorf("got %+v, want a late one", s.losses)
	}
}

// The count of frames is exact for any pattern of loss.
func TestExpectedIsWhatWasSent(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		want, n := uint64(0), uint64(1000+random.IntN(9000))
		p := random.Float64()
		got := lost(n+1, func(seq uint64) bool {
			gone := seq <= n && random.Float64() < p
			if gone {
				want++
			}
			return gone
		})
		runs := uint64(0)
		for _, count := range got.Bursts {
			runs += count
		}
		if got.Expected != n+1 || got.Missing != want || runs > want {
			t.Fatalf("got %+v, want %d of %d", got, want, n+1)
		}
	}
}

func TestFindingLossesAllocatesNothing(t *testing.T) {
	var s sequence
	s.begin(1)
	seq := uint64(1)
	if n := testing.AllocsPerRun(1000, func() { seq += 1 + seq%3; s.add(seq) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestALaneCountsTheParityThatItNeeded(t *testing.T) {
	var r Repairs
	for _, n := range []int{1, 1, 2, 5, 64} {
		r.need(n)
	}
	for bound, want := range map[uint64]uint64{1: 2, 2: 1, 6: 1, 64: 1, 4: 0} {
		if i := slices.Index(BurstBounds(), bound); r.Needed[i] != want {
			t.Errorf("up to %d: got %d, want %d", bound, r.Needed[i], want)
		}
	}
}

func BenchmarkFindingLosses(b *testing.B) {
	var s sequence
	s.begin(1)
	for seq := uint64(2); b.Loop(); seq++ {
		s.add(seq)
	}
}
