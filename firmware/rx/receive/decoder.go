package receive

import (
	"time"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/wire"
)

// Our own bounds. The transmitter sends all parity of a generation before it
// closes the next, so parity of the next, or anything of the one after, means that
// a generation is over.
const (
	// reach is how many generations after the current one are kept.
	reach = 3
	// older is how many generations before the current one are known as such after an outage.
	older = reach + 1
	// lateGrace is how late frames of a generation that is over may arrive, on
	// media that do not keep the order.
	lateGrace = 20 * time.Millisecond
	// abandonAfter is how long the decoder waits for a generation that may not be
	// over once the link is silent. The transmitter may only have been slow.
	abandonAfter = time.Second

	maxSources = wire.MaxLanes * wire.MaxSources
	// firstNumber is that of generation 0 on the wire, which has 16 bits of it: frames somewhat
	// older have numbers, too.
	firstNumber = 1 << 16
)

// Decoder repairs one class and restores its order. Not safe for concurrent use.
type Decoder struct {
	deliver  func(payload []byte)
	hole     func()
	counts   *Counts
	repairs  Repairs
	current  uint64 // number of the generation being delivered
	started  bool
	gens     [reach + 1]*generation // current, current+1 …
	last     time.Time
	over     time.Time // when the current generation was first known to be over
	encoders [wire.MaxSources + 1]reedsolomon.Encoder
	free     [][]byte
	scratch  [][]byte
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
	d.current, d.started = firstNumber, fromStart
}

// Add adds an authentic frame of the decoder's class.
func (d *Decoder) Add(now time.Time, h *wire.Header, shard []byte) {
	number := d.unwrap(now, h.Generation)
	d.last = now
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
		d.endCurrent()
		d.deliverReady()
	}
	slot := &d.gens[number-d.current]
	if *slot == nil {
		*slot = &generation{}
		d.counts.Generations++
	}
	ok := false
	if h.Kind == wire.Source {
		ok = d.addSource(*slot, int(h.Index), shard)
	} else {
		ok = d.addParity(*slot, h, shard)
	}
	if !ok {
		d.counts.Malformed++
	}
	d.deliverReady()
	d.endOverdue(now)
}

// Tick is to be called often; silent reports that nothing arrives on the link.
// What is still missing when its time is over counts as lost.
func (d *Decoder) Tick(now time.Time, silent bool) {
	d.endOverdue(now)
	if !silent || !d.started || now.Sub(d.last) < abandonAfter {
		return
	}
	for d.isWaiting() {
		g := d.gens[0]
		if g == nil || !d.skipMissing(g) {
			d.endCurrent()
		}
		d.deliverReady()
	}
}

// endOverdue ends the current generation once it has been over for long enough.
func (d *Decoder) endOverdue(now time.Time) {
	for d.isOver() {
		if d.over.IsZero() {
			d.over = now
		}
		if now.Sub(d.over) < lateGrace {
			return
		}
		d.endCurrent()
		d.deliverReady()
	}
	d.over = time.Time{}
}

// isOver reports whether the current generation is over.
func (d *Decoder) isOver() bool {
	return d.gens[2] != nil || d.gens[3] != nil || (d.gens[1] != nil && d.gens[1].sources > 0)
}

// isWaiting reports whether something arrived that waits for something missing.
func (d *Decoder) isWaiting() bool {
	for i, g := range d.gens {
		if g != nil && (i > 0 || g.next < len(g.shards)) {
			return true
		}
	}
	return false
}

// unwrap returns the full number of a generation: the one nearest to the current. After an outage more
// than half of all numbers may have passed: then it is the next later one, but for those just before the
// current, of which a transmitter that stood still may send the rest.
func (d *Decoder) unwrap(now time.Time, low uint16) uint64 {
	if !d.started {
		return firstNumber | uint64(low)
	}
	ahead := uint64(low - uint16(d.current))
	outage := now.Sub(d.last) >= abandonAfter
	if ahead >= 1<<16-older || ahead >= 1<<15 && !outage {
		ahead -= 1 << 16
	}
	return d.current + ahead
}

// deliverReady delivers all that is in order.
func (d *Decoder) deliverReady() {
	for {
		g := d.gens[0]
		if g == nil {
			return
		}
		d.deliverRun(g)
		if g.sources == 0 || g.next < g.sources {
			return
		}
		d.next()
	}
}

// endCurrent ends the current generation, delivering what there is of it.
func (d *Decoder) endCurrent() {
	g := d.gens[0]
	if g == nil || g.sources == 0 {
		defer d.hole() // it may have had more frames
	}
	if g != nil {
		for _, l := range g.lanes {
			if !l.solved {
				d.repairs.Beyond++
			}
		}
	}
	for g != nil && d.skipMissing(g) {
		d.deliverRun(g)
	}
	d.next()
}

// skipMissing passes over the next run of missing frames and reports whether there was one.
func (d *Decoder) skipMissing(g *generation) bool {
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

func (d *Decoder) next() {
	d.recycle(d.gens[0])
	copy(d.gens[:], d.gens[1:])
	d.gens[reach] = nil
	d.current++
	d.over = time.Time{}
}
