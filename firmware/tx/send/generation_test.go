package send

import (
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
)

// The floor of parity is what the operator configured, never less.
func TestRowsReachTheFloor(t *testing.T) {
	for _, c := range []struct {
		k     int
		floor float64
		want  int
	}{
		{1, 0, 1}, {4, 0.25, 1}, {4, 0.2501, 2}, {64, 0.25, 16}, {64, 0.2501, 17}, {10, 0.3, 3},
		{50, 0.14, 7}, // 7.000000000000001 as a float64
		{64, 2, wire.MaxParity},
	} {
		p := wire.DatagramProfile(1472, 66)
		coder := newCoder(p.Classes[wire.LowLatency], tableOf(p), c.floor, &buffers{size: p.MaxFrame()})
		if got := coder.rows(c.k, true); got != min(c.want, wire.MaxParity) {
			t.Errorf("%d sources, floor %v: got %d rows, want %d", c.k, c.floor, got, c.want)
		}
	}
}

func TestSpareCapacityPaysForTheTablesRows(t *testing.T) {
	p := wire.DatagramProfile(1472, 66)
	c := newCoder(p.Classes[wire.LowLatency], tableOf(p), 0.01, &buffers{size: p.MaxFrame()})
	for k := 1; k <= wire.MaxSources; k++ {
		if got, saturated := c.rows(k, false), c.rows(k, true); got != max(c.table[k], saturated) || got < saturated {
			t.Errorf("%d sources: got %d rows, %d on a saturated line", k, got, saturated)
		}
	}
}

// A generation that is full has all its lanes' parity, each with its own index,
// and its buffers are free again afterwards.
func TestAGenerationIsCodedOnceAndItsBuffersComeBack(t *testing.T) {
	p := wire.DatagramProfile(1472, 66)
	free := &buffers{size: p.MaxFrame()}
	c := newCoder(p.Classes[wire.LowLatency], tableOf(p), 0.25, free)
	now := time.Unix(0, 0)
	for generation := range 3 {
		sources := 0
		for ; !c.full(); sources++ {
			g, index := c.add(now, append(free.get(), byte(sources), 1, 2), nil)
			if int(g) != generation || int(index) != sources {
				t.Fatalf("source %d of generation %d: got %d of %d", sources, generation, index, g)
			}
		}
		c.close(now, true)
		for row := 0; c.closing != nil; row++ {
			f, err := c.nextParity(wire.LowLatency)
			if err != nil || int(f.header.Index) != row || f.sources != sources || len(f.coded) != 3 {
				t.Fatalf("parity %d: got %+v, %v", row, f, err)
			}
			if f.done != nil {
				c.recycle(f.done)
			}
		}
	}
	if most := 2 * wire.MaxSources * p.Classes[wire.LowLatency].MaxLanes; len(free.free) == 0 || len(free.free) > most {
		t.Errorf("got %d free buffers, want those of one generation", len(free.free))
	}
}

func tableOf(p wire.Profile) *[wire.MaxSources + 1]int {
	table := wire.ParityTable(p.DesignLoss)
	return &table
}
