package linksim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/holes"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

// stream is a channel of a pair, with all that ever became of its records. A record's
// payload begins with a number that no other one has.
type stream struct {
	pair   *pair
	name   string
	id     uint16
	late   mirror.Late
	events float64 // share of events among records, the rest is state
	rate   float64 // records per step
	in     *send.Channel
	out    *mirror.Channel
	total  uint64 // of records, as the transmitter last kept it

	sums      map[uint64]uint32 // of payloads put
	left      map[uint64]gone   // what left, by the payload's number
	numbers   map[holes.Position]uint64
	delivered map[uint64]int
	live      holes.Position // of the last live event delivered
	lateAt    holes.Position // of the last record delivered late
	newest    map[string]uint64
	known     map[string]bool // keys at the transmitter's source

	waiting   []uint64 // in the sink's memory
	volatile  int      // of them, when the account was last kept
	sinceKept int      // deliveries
	repeats   int      // deliveries of what had been delivered
	allowed   int      // of them, for kills

	passes         uint64 // statements of the window since the transmitter started
	reach          record.Window
	pages, earlier []span // of the pass that runs, and of the one before
}

// gone is a record that left.
type gone struct {
	at    holes.Position
	event bool
	late  bool // by its source
}

// span is the numbers of a page.
type span struct{ first, last uint64 }

func newStream(p *pair, name string) *stream {
	c := &stream{
		pair: p, name: name, id: record.ChannelID(name), sums: map[uint64]uint32{}, left: map[uint64]gone{},
		numbers: map[holes.Position]uint64{}, delivered: map[uint64]int{}, newest: map[string]uint64{},
		known: map[string]bool{},
	}
	switch p.rnd.IntN(7) {
	case 0, 1: // a log
		c.events, c.late = 1, mirror.InOrder
	case 2, 3: // a server's values
		c.events, c.late = 0.02, mirror.AnyOrder
	case 4, 5: // topics
		c.events, c.late = 0.5, mirror.InOrder
	default:
		c.events, c.late = 0.5, mirror.None
	}
	c.rate = p.Rate * p.Step.Seconds() * 0.25 * p.rnd.Float64() / 200
	return c
}

func (c *stream) startTX() {
	mux := c.pair.TX.Mux
	class := wire.LowLatency
	if c.id%4 == 0 {
		class = wire.Bulk
	}
	c.in = mux.Channel(c.name, class)
	mux.Resume(c.in, c.total)
	c.passes, c.pages, c.earlier = 0, nil, nil
	for key := range 20 { // in this order: a map has none
		if name := fmt.Sprint("key ", key); c.known[name] {
			c.putRecord(send.Record{Key: []byte(name)}, 20)
		}
	}
	mux.SetComplete(c.in, true)
}

// put puts what a source might in a step.
func (c *stream) put() {
	rnd := c.pair.rnd
	for n := c.rate * 2 * rnd.Float64(); n > rnd.Float64(); n-- {
		size, r := rnd.IntN(350), send.Record{Event: rnd.Float64() < c.events}
		if rnd.IntN(300) == 0 {
			size = rnd.IntN(6000)
		}
		if !r.Event || rnd.IntN(4) == 0 {
			r.Key = fmt.Appendf(nil, "key %d", rnd.IntN(1+rnd.IntN(20)))
		}
		switch x := rnd.IntN(60); {
		case x == 0 && c.late == mirror.AnyOrder && r.Key != nil && !r.Event:
			r.Late = true // of the plant's own history
		case x < 3 && r.Key != nil && !r.Event:
			r.Delete = true
		}
		if rnd.IntN(3) > 0 {
			r.Time = c.pair.Now.UnixNano() + 100*rnd.Int64N(10_000)
		}
		c.putRecord(r, size)
	}
}

func (c *stream) putRecord(r send.Record, size int) {
	c.pair.ids++
	id := c.pair.ids
	r.Payload = binary.BigEndian.AppendUint64(nil, id)
	for x := id; len(r.Payload) < size; x = x*6364136223846793005 + 1442695040888963407 {
		r.Payload = binary.BigEndian.AppendUint64(r.Payload, x>>20)
	}
	c.sums[id] = crc32.ChecksumIEEE(r.Payload)
	if _, err := c.pair.TX.Mux.Put(c.in, r); err != nil {
		c.pair.fail("%s: put: %v", c.name, err)
	}
	if r.Key != nil && !r.Late {
		c.known[string(r.Key)] = !r.Delete
	}
}

func (p *pair) stream(id uint16) *stream {
	for _, c := range p.channels {
		if c.id == id {
			return c
		}
	}
	return nil
}

// left notes a record that enters the link for the first time.
func (p *pair) left(channel uint16, at holes.Position, r *record.Replayed) {
	c := p.stream(channel)
	id := binary.BigEndian.Uint64(r.Payload)
	if _, again := c.left[id]; again {
		p.fail("%s: %d left twice", c.name, id)
	}
	c.left[id] = gone{at: at, event: r.Event, late: r.Late}
	c.numbers[at] = id
}

// window notes what the transmitter states, which begins a pass.
func (p *pair) window(w *record.Window) {
	c := p.stream(w.Channel)
	c.passes++
	c.reach = *w
	c.earlier, c.pages = c.pages, nil
}

// page notes a page that is sent again.
func (p *pair) page(r *record.Replay) {
	c := p.stream(r.Channel)
	if n := len(c.pages); r.Epoch != p.epoch || n > 0 && c.pages[n-1].last >= r.First || r.First < c.reach.First {
		p.fail("%s: a page of %d to %d follows %v, window from %d", c.name, r.First, r.Last, c.pages, c.reach.First)
	}
	c.pages = append(c.pages, span{r.First, r.Last})
}

// deliver is the sink.
func (c *stream) deliver(u mirror.Update) {
	p := c.pair
	if u.Delete && len(u.Payload) == 0 {
		return // a round of the carousel does not have the key
	}
	id := binary.BigEndian.Uint64(u.Payload)
	r, left := c.left[id]
	healed := u.Late && !r.late
	again := c.delivered[id] > 0 && (u.Late || u.Event)
	switch {
	case !left || c.sums[id] != crc32.ChecksumIEEE(u.Payload):
		p.fail("%s: %d was delivered, and did not leave like this", c.name, id)
	case healed && c.late == mirror.None:
		p.fail("%s: %v was delivered late", c.name, r.at)
	case again && c.repeats >= c.allowed:
		p.fail("%s: %v was delivered again, late: %v; %d repeats are allowed", c.name, r.at, u.Late, c.allowed)
	case healed && c.late == mirror.InOrder && !c.lateAt.Before(r.at):
		p.fail("%s: late %v after %v", c.name, r.at, c.lateAt)
	case !u.Late && u.Event && !c.live.Before(r.at):
		p.fail("%s: live %v after %v", c.name, r.at, c.live)
	case !u.Late && u.Key != nil && id < c.newest[string(u.Key)]:
		p.fail("%s: %s went back from %d to %d, %v", c.name, u.Key, c.newest[string(u.Key)], id, r.at)
	}
	if again {
		c.repeats++
	}
	if healed {
		c.lateAt = r.at
	} else if u.Event {
		c.live = r.at
	}
	if u.Key != nil && !u.Late {
		c.newest[string(u.Key)] = id
	}
	c.delivered[id]++
	c.sinceKept++
	if c.waiting = append(c.waiting, id); len(c.waiting) == 20 || p.rnd.IntN(8) == 0 {
		c.waiting = c.waiting[:0]
	}
}

// keep is called when the account is kept.
func (c *stream) keep() { c.volatile, c.sinceKept = len(c.waiting), 0 }

// kill loses what the sink had in memory. What was delivered since the account was
// kept, and as much as the sink had in memory by then, may come once more.
func (c *stream) kill() {
	for _, id := range c.waiting {
		c.delivered[id]--
	}
	c.allowed += c.sinceKept + c.volatile
	c.waiting, c.lateAt = nil, holes.Position{}
	c.keep()
}

// distinct returns how many records were delivered at least once.
func (c *stream) distinct() (n uint64) {
	for _, times := range c.delivered {
		if times > 0 {
			n++
		}
	}
	return n
}

// balanced checks what must hold at any time.
func (c *stream) balanced() mirror.Status {
	s := c.out.Status()
	if sum := s.Delivered + s.Lost + s.Unknown + s.Conflated; sum != s.Sent || s.Healed > s.Delivered {
		c.pair.fail("%s: %d sent, but the terms sum to %d: %+v", c.name, s.Sent, sum, s.Counts)
	}
	if open := c.out.Open(); open > s.Lost+s.Unknown || open > 0 && c.late == mirror.None {
		c.pair.fail("%s: %d may still heal of %+v", c.name, open, s.Counts)
	}
	return s
}

// check checks what must hold after a pass.
func (c *stream) check() {
	p, s := c.pair, c.balanced()
	p.keepTotals()
	if s.Sent != c.total {
		p.fail("%s: %d sent, and the account has %+v", c.name, c.total, s)
	}
	// Without late records a value whose key was not known yet at the end of a run stays
	// unknown, though the carousel brings it to the next run.
	exact := !p.kills && c.late != mirror.None
	if n := c.distinct(); s.Delivered > n || n-s.Delivered > s.Unknown || exact && s.Delivered != n {
		p.fail("%s: %d records were delivered, and the account has %+v", c.name, n, s.Counts)
	}
	if c.late == mirror.None {
		return
	}
	if open := c.out.Open(); open > 0 {
		p.fail("%s: %d may still heal after a pass of %v from %d: %v", c.name, open, c.pages, c.reach.First,
			c.out.Holes())
	}
	final := uint64(0)
	for _, h := range c.out.Holes() {
		final += h.Records
	}
	if final != s.Lost+s.Unknown && !p.kills {
		p.fail("%s: %d are final, and the account has %+v", c.name, final, s.Counts)
	}
	pages := c.pages
	if c.passes > p.TX.Replay.Stats().Passes {
		pages = c.earlier // the next one has begun
	}
	c.checkPages(pages)
}

// checkPages checks that nothing is missing that a pass sent.
func (c *stream) checkPages(pages []span) {
	next := c.reach.First
	for _, page := range pages {
		for number := page.first; number <= page.last; number++ {
			at := holes.Position{Epoch: c.pair.epoch, Number: number}
			if id, left := c.numbers[at]; left && c.delivered[id] == 0 {
				c.pair.fail("%s: %v is missing, though pages %v have it: %v", c.name, at, pages, c.out.Holes())
			}
		}
		if page.first != next {
			c.pair.fail("%s: pages %v do not have all from %d", c.name, pages, c.reach.First)
		}
		next = page.last + 1
	}
}
