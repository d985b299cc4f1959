package receive

import (
	"encoding/binary"
	"time"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/wire"
)

// Our own bounds. The transmitter sends all parity of a generation before it
// closes the next, so parity of the next, or anything of the one after, says that
// a generation is over.
const (
	// reach is how many generations after the current one are kept.
	reach = 3
	// settle is how long frames of a generation that is over may come late,
	// for media that do not keep the order.
	settle = 20 * time.Millisecond
	// giveUp is how long a generation that may not be over is waited for once
	// the link is silent. The transmitter may only have been slow.
	giveUp = time.Second

	maxSources = wire.MaxLanes * wire.MaxSources
)

// Decoder repairs one class and restores its order. Not safe for concurrent use.
type Decoder struct {
	deliver  func(payload []byte)
	hole     func()
	counts   *Counts
	current  uint64 // number of the generation being delivered
	started  bool
	gens     [reach + 1]*generation // current, current+1 …
	last     time.Time
	over     time.Time // when the current generation was first known to be over
	encoders [wire.MaxSources + 1]reedsolomon.Encoder
	free     [][]byte
	scratch  [][]byte
}

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

// NewDecoder returns a decoder that calls deliver with the payload of every
// source frame in order, and hole wherever some are lost for good. A payload is
// valid only during the call.
func NewDecoder(counts *Counts, deliver func(payload []byte), hole func()) *Decoder {
	return &Decoder{counts: counts, deliver: deliver, hole: hole}
}

// Reset forgets everything for a new session. With fromStart the session is
// known from its first frame; otherwise the decoder joins where the next
// frame is.
func (d *Decoder) Reset(fromStart bool) {
	for i, g := range d.gens {
		d.recycle(g)
		d.gens[i] = nil
	}
	d.current, d.started = 0, fromStart
}

// Add takes an authentic frame of the decoder's class.
func (d *Decoder) Add(now time.Time, h *wire.Header, shard []byte) {
	d.last = now
	number := d.number(h.Generation)
	if !d.started {
		d.started, d.current = true, number
	}
	if number < d.current {
		return // its generation is over
	}
	for number > d.current+reach {
		if d.gens == [reach + 1]*generation{} {
			d.hole()
			d.current = number - reach
			break
		}
		d.finish()
		d.advance()
	}
	slot := &d.gens[number-d.current]
	if *slot == nil {
		*slot = &generation{}
		d.counts.Generations++
	}
	ok := false
	if h.Kind == wire.Source {
		ok = d.source(*slot, int(h.Index), shard)
	} else {
		ok = d.parity(*slot, h, shard)
	}
	if !ok {
		d.counts.Malformed++
	}
	d.advance()
	d.settled(now)
}

// Tick is to be called often; silent says that nothing arrives on the link.
// What is still missing when its time is over counts as lost.
func (d *Decoder) Tick(now time.Time, silent bool) {
	d.settled(now)
	if !silent || !d.started || now.Sub(d.last) < giveUp {
		return
	}
	for d.pending() {
		g := d.gens[0]
		if g == nil || !d.skip(g) {
			d.finish()
		}
		d.advance()
	}
}

// settled ends the current generation once it has been over for long enough.
func (d *Decoder) settled(now time.Time) {
	for d.past() {
		if d.over.IsZero() {
			d.over = now
		}
		if now.Sub(d.over) < settle {
			return
		}
		d.finish()
		d.advance()
	}
	d.over = time.Time{}
}

// past reports whether the current generation is over.
func (d *Decoder) past() bool {
	return d.gens[2] != nil || d.gens[3] != nil || (d.gens[1] != nil && d.gens[1].sources > 0)
}

// pending reports whether something arrived that waits for something missing.
func (d *Decoder) pending() bool {
	for i, g := range d.gens {
		if g != nil && (i > 0 || g.next < len(g.shards)) {
			return true
		}
	}
	return false
}

// number unwraps a generation's number: the one nearest to the current.
func (d *Decoder) number(low uint16) uint64 {
	if !d.started {
		return 1<<16 | uint64(low) // leaves room for frames somewhat older
	}
	return d.current + uint64(int64(int16(low-uint16(d.current))))
}

func (d *Decoder) source(g *generation, i int, shard []byte) bool {
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
	g.shards[i] = d.keep(shard)
	if g.sources > 0 {
		d.gained(g, i%len(g.lanes))
	}
	return true
}

func (d *Decoder) parity(g *generation, h *wire.Header, shard []byte) bool {
	sources, coded := int(binary.BigEndian.Uint16(shard)), shard[wire.ParityHead:]
	row, at := int(h.Index)/h.Lanes, int(h.Index)%h.Lanes
	if g.sources == 0 && !d.learn(g, sources, h.Lanes, len(coded)) {
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
		l.rows[row] = d.keep(coded)
		d.gained(g, at)
	}
	return true
}

// learn takes what the first parity frame says of its generation.
func (d *Decoder) learn(g *generation, sources, lanes, size int) bool {
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

// gained counts one more frame of a lane and repairs the lane once it has enough.
func (d *Decoder) gained(g *generation, at int) {
	l := &g.lanes[at]
	if l.have++; l.solved || l.have < laneSize(g.sources, len(g.lanes), at) {
		return
	}
	l.solved = true
	d.repair(g, at)
}

func (d *Decoder) repair(g *generation, at int) {
	k := laneSize(g.sources, len(g.lanes), at)
	all := d.scratch[:0]
	missing := 0
	for i := at; i < g.sources; i += len(g.lanes) {
		s := g.shards[i]
		if s == nil {
			missing++
			s = d.buffer(g.size)[:0]
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
		d.encoders[k], _ = reedsolomon.New(k, wire.MaxParity, reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
	}
	return d.encoders[k]
}

// advance delivers all that is in order.
func (d *Decoder) advance() {
	for {
		g := d.gens[0]
		if g == nil {
			return
		}
		d.deliverRun(g)
		if g.sources == 0 || g.next < g.sources {
			return
		}
		d.shift()
	}
}

// finish ends the current generation, delivering what there is of it.
func (d *Decoder) finish() {
	g := d.gens[0]
	if g == nil || g.sources == 0 {
		defer d.hole() // nobody knows how many frames it had
	}
	for g != nil && d.skip(g) {
		d.deliverRun(g)
	}
	d.shift()
}

// skip passes over the next run of missing frames and reports whether there was one.
func (d *Decoder) skip(g *generation) bool {
	from := g.next
	for g.next < len(g.shards) && g.shards[g.next] == nil {
		g.next++
		d.counts.Lost++
	}
	if g.next > from {
		d.hole()
	}
	return g.next > from
}

// deliverRun delivers sources up to the next missing one.
func (d *Decoder) deliverRun(g *generation) {
	for g.next < len(g.shards) && g.shards[g.next] != nil {
		d.deliver(g.shards[g.next])
		g.next++
	}
}

func (d *Decoder) shift() {
	d.recycle(d.gens[0])
	copy(d.gens[:], d.gens[1:])
	d.gens[reach] = nil
	d.current++
	d.over = time.Time{}
}

// keep returns a copy of a shard.
func (d *Decoder) keep(shard []byte) []byte { return append(d.buffer(len(shard))[:0], shard...) }

func (d *Decoder) buffer(size int) []byte {
	if n := len(d.free); n > 0 {
		if b := d.free[n-1]; cap(b) >= size {
			d.free = d.free[:n-1]
			return b[:size]
		}
	}
	return make([]byte, size, max(size, bufferSize))
}

// bufferSize holds any shard, so that buffers can be used again for any other.
const bufferSize = 1536

func (d *Decoder) recycle(g *generation) {
	if g == nil {
		return
	}
	for _, s := range g.shards {
		d.release(s)
	}
	for i := range g.lanes {
		for _, s := range g.lanes[i].rows {
			d.release(s)
		}
	}
}

func (d *Decoder) release(s []byte) {
	if cap(s) >= bufferSize && len(d.free) < 2*maxSources {
		d.free = append(d.free, s)
	}
}

// trim takes off the zeros that a medium of fixed frame sizes has filled a shard
// up with, as far as they are beyond the coded size. Anything else there is not
// what parity was made of: nil.
func trim(s []byte, size int) []byte {
	for _, b := range s[min(size, len(s)):] {
		if b != 0 {
			return nil
		}
	}
	return s[:min(size, len(s))]
}

// pad fills a shard up with zeros.
func pad(s []byte, size int) []byte {
	if cap(s) < size {
		return append(s, make([]byte, size-len(s))...)
	}
	n := len(s)
	s = s[:size]
	clear(s[n:])
	return s
}
