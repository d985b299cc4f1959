package receive

import (
	"encoding/binary"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/wire"
)

// generation is what arrived of one.
type generation struct {
	shards  [][]byte // sources, nil where missing
	next    int      // source to deliver
	sources int      // how many there are; 0: no parity has arrived yet
	lanes   []lane
	size    int // of the coded bytes
}

type lane struct {
	have   int // sources and parity
	rows   [][]byte
	solved bool
}

// addSource adds a source frame, and returns false for one that cannot be of g.
func (d *Decoder) addSource(g *generation, i int, shard []byte) bool {
	if i >= maxSources || (g.sources > 0 && i >= g.sources) {
		return false
	}
	for len(g.shards) <= i {
		g.shards = append(g.shards, nil)
	}
	if g.shards[i] != nil {
		return true
	}
	if g.sources > 0 {
		if shard = trim(shard, g.size); shard == nil {
			return false
		}
	}
	g.shards[i] = d.copyOf(shard)
	if g.sources > 0 {
		d.countFrame(g, i%len(g.lanes))
	}
	return true
}

// addParity adds a parity frame, and returns false for one that cannot be of g.
func (d *Decoder) addParity(g *generation, h *wire.Header, shard []byte) bool {
	sources, coded := int(binary.BigEndian.Uint16(shard)), shard[wire.ParityHead:]
	row, at := int(h.Index)/h.Lanes, int(h.Index)%h.Lanes
	if g.sources == 0 && !d.setShape(g, sources, h.Lanes, len(coded)) {
		return false
	}
	if sources != g.sources || h.Lanes != len(g.lanes) || len(coded) != g.size || row >= wire.MaxParity {
		return false
	}
	l := &g.lanes[at]
	if l.solved {
		return true
	}
	for len(l.rows) <= row {
		l.rows = append(l.rows, nil)
	}
	if l.rows[row] == nil {
		l.rows[row] = d.copyOf(coded)
		d.countFrame(g, at)
	}
	return true
}

// setShape sets what the first parity frame states of its generation.
func (d *Decoder) setShape(g *generation, sources, lanes, size int) bool {
	if sources < max(len(g.shards), 1) || sources > lanes*wire.MaxSources {
		return false
	}
	for i, s := range g.shards {
		if s == nil {
			continue
		}
		if g.shards[i] = trim(s, size); g.shards[i] == nil {
			g.shards[i] = s
			return false
		}
	}
	g.sources, g.size = sources, size
	for len(g.shards) < sources {
		g.shards = append(g.shards, nil)
	}
	g.lanes = make([]lane, lanes)
	for i, s := range g.shards {
		if s != nil {
			g.lanes[i%lanes].have++
		}
	}
	for i := range g.lanes {
		g.lanes[i].solved = g.lanes[i].have == laneSize(sources, lanes, i)
	}
	return true
}

func laneSize(sources, lanes, lane int) int { return (sources - lane + lanes - 1) / lanes }

// countFrame counts one more frame of a lane and repairs the lane once it has enough.
func (d *Decoder) countFrame(g *generation, at int) {
	l := &g.lanes[at]
	if l.have++; l.solved || l.have < laneSize(g.sources, len(g.lanes), at) {
		return
	}
	l.solved = true
	d.repairLane(g, at)
}

// repairLane restores the missing sources of a lane that has enough frames.
func (d *Decoder) repairLane(g *generation, at int) {
	k := laneSize(g.sources, len(g.lanes), at)
	all := d.scratch[:0]
	missing := 0
	for i := at; i < g.sources; i += len(g.lanes) {
		s := g.shards[i]
		if s == nil {
			missing++
			s = d.takeBuffer(g.size)[:0]
		} else {
			s = pad(s, g.size)
		}
		all = append(all, s)
	}
	if missing == 0 {
		return
	}
	rows := g.lanes[at].rows
	all = append(all, rows...)
	for len(all) < k+wire.MaxParity {
		all = append(all, nil)
	}
	d.scratch = all
	if d.encoder(k).ReconstructData(all) != nil {
		return // cannot be: there are k of them
	}
	d.repairs.need(missing)
	for i, n := at, 0; i < g.sources; i, n = i+len(g.lanes), n+1 {
		if g.shards[i] == nil {
			g.shards[i] = all[n]
			d.counts.Repaired++
		}
	}
}

func (d *Decoder) encoder(k int) reedsolomon.Encoder {
	if d.encoders[k] == nil {
		// The arguments are constant bounds, so there is no error to handle.
		d.encoders[k], _ = reedsolomon.New(k, wire.MaxParity,
			reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
	}
	return d.encoders[k]
}
