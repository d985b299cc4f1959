package send

import (
	"fmt"
	"math"
	"time"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/wire"
)

// generation is a run of source frames that gets its parity together.
type generation struct {
	number uint64
	first  time.Time
	last   time.Time
	shards [][]byte // in order
	lefts  []func(error)

	// Once it is closed:
	lanes  int
	rows   int        // of parity, in each lane
	size   int        // of the coded bytes, the longest shard's
	parity [][][]byte // by lane, then row; computed when the lane's first row is due
	sent   int        // parity frames
	closed time.Time
}

// coder closes the generations of one class and makes their parity. Source frames
// are sent at once; only what they were made of is kept.
type coder struct {
	profile  wire.ClassProfile
	table    *[wire.MaxSources + 1]int
	floor    float64
	open     *generation
	closing  *generation // its parity is being sent
	encoders map[[2]int]reedsolomon.Encoder
	buffers  *buffers
	number   uint64
}

// buffers are free ones for shards.
type buffers struct {
	free [][]byte
	size int
}

func newCoder(p wire.ClassProfile, table *[wire.MaxSources + 1]int, overhead float64, b *buffers) *coder {
	return &coder{
		profile: p, table: table, floor: overhead, buffers: b,
		open: &generation{}, encoders: make(map[[2]int]reedsolomon.Encoder),
	}
}

// add takes over a source shard, made in a buffer, and returns its place. The
// generation must not be full.
func (c *coder) add(now time.Time, shard []byte, lefts []func(error)) (generation, index uint16) {
	g := c.open
	if len(g.shards) == 0 {
		g.first, g.number = now, c.number
	}
	g.last = now
	g.lefts = append(g.lefts, lefts...)
	g.shards = append(g.shards, shard)
	return uint16(g.number), uint16(len(g.shards) - 1)
}

// get returns an empty buffer.
func (b *buffers) get() []byte {
	if n := len(b.free); n > 0 {
		s := b.free[n-1]
		b.free = b.free[:n-1]
		return s[:0]
	}
	return make([]byte, 0, (b.size+stride-1)/stride*stride)
}

// put makes buffers free.
func (b *buffers) put(shards ...[]byte) { b.free = append(b.free, shards...) }

func (c *coder) full() bool { return len(c.open.shards) == c.profile.MaxLanes*c.profile.Sources }

// due returns when the open generation has to close, or a zero time. On a
// saturated line it waits for its lanes to fill, since only full lanes make the
// most of the floor; the wait is nothing against that of the queue.
func (c *coder) due(saturated bool) time.Time {
	g := c.open
	if len(g.shards) == 0 {
		return time.Time{}
	}
	if saturated && len(g.shards)%c.profile.Sources != 0 {
		return g.first.Add(4 * c.profile.Flush)
	}
	at := g.first.Add(c.profile.Flush)
	if idle := g.last.Add(c.profile.Idle); idle.Before(at) {
		at = idle
	}
	return at
}

// close ends the open generation; the one before must have had its parity.
// The floor is all the parity there is while the line is saturated.
func (c *coder) close(now time.Time, saturated bool) {
	g := c.open
	n := len(g.shards)
	g.lanes = (n + c.profile.Sources - 1) / c.profile.Sources
	k := (n + g.lanes - 1) / g.lanes
	g.rows = c.rows(k, saturated)
	for _, s := range g.shards {
		g.size = max(g.size, len(s))
	}
	g.parity = make([][][]byte, g.lanes)
	g.closed = now
	c.closing, c.open = g, &generation{}
	c.number++
}

// floorError is by how much k × floor may be above its true value: a floor of 14 %
// of 50 sources is 7 rows, and 7.000000000000001 as a float64.
const floorError = 1e-9

// rows returns how many parity frames a lane of k sources has.
func (c *coder) rows(k int, saturated bool) int {
	rows := max(int(math.Ceil(float64(k)*c.floor-floorError)), 1)
	if !saturated {
		rows = max(rows, c.table[k])
	}
	return min(rows, wire.MaxParity)
}

// parityDue returns when the next parity frame is to leave, or a zero time.
func (c *coder) parityDue() time.Time {
	g := c.closing
	if g == nil {
		return time.Time{}
	}
	return g.closed.Add(c.profile.Spread * time.Duration(g.sent) / time.Duration(g.rows*g.lanes))
}

// parityFrame is what a parity frame is made of.
type parityFrame struct {
	header  wire.Header // without session and sequence
	sources int         // of its generation
	coded   []byte
	done    *generation // of which it is the last frame; nil: more follow
}

// nextParity returns the next parity frame.
func (c *coder) nextParity(class wire.Class) (parityFrame, error) {
	g := c.closing
	lane, row := g.sent%g.lanes, g.sent/g.lanes
	if g.parity[lane] == nil {
		var err error
		if g.parity[lane], err = c.encode(g, lane); err != nil {
			return parityFrame{}, err
		}
	}
	f := parityFrame{
		header: wire.Header{
			Kind: wire.Parity, Class: class, Lanes: g.lanes, Generation: uint16(g.number), Index: uint16(g.sent),
		},
		sources: len(g.shards), coded: g.parity[lane][row],
	}
	if g.sent++; g.sent == g.rows*g.lanes {
		c.closing = nil
		f.done = g
	}
	return f, nil
}

// stride is what the coder works on at once. Of a remainder it makes a slow pass
// for every source and row; zeros in its place cost nothing.
const stride = 64

func (c *coder) encode(g *generation, lane int) ([][]byte, error) {
	var all [][]byte
	size := (g.size + stride - 1) / stride * stride
	for i := lane; i < len(g.shards); i += g.lanes {
		s := g.shards[i]
		clear(s[len(s):size])
		all = append(all, s[:size])
	}
	k := len(all)
	for range g.rows {
		all = append(all, c.buffers.get()[:size])
	}
	enc, err := c.encoder(k, g.rows)
	if err == nil {
		err = enc.Encode(all)
	}
	if err != nil {
		return nil, fmt.Errorf("send: coding %d sources and %d parity: %v", k, g.rows, err)
	}
	for i, row := range all[k:] {
		all[k+i] = row[:g.size]
	}
	return all[k:], nil
}

func (c *coder) encoder(k, m int) (reedsolomon.Encoder, error) {
	if e := c.encoders[[2]int{k, m}]; e != nil {
		return e, nil
	}
	e, err := reedsolomon.New(k, m, reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
	if err == nil {
		c.encoders[[2]int{k, m}] = e
	}
	return e, err
}

// recycle makes the buffers of a finished generation free.
func (c *coder) recycle(g *generation) {
	c.buffers.put(g.shards...)
	for _, lane := range g.parity {
		c.buffers.put(lane...)
	}
}
