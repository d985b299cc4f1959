package send

import (
	"math"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/replay"
)

// Our own intervals.
const (
	heartbeatEvery = time.Second
	totalsEvery    = time.Second
	cycleEvery     = time.Second // from the start of one carousel cycle to the next, at least
)

// Our own choices about filling a frame, in bytes.
const (
	quantum  = 4096 // of one channel's turn
	minPiece = 32   // a shorter piece of a record is not worth an item
)

// Mux queues what channels have to send and decides what goes next. It is safe
// for concurrent use; sources Put while the sender Fills.
type Mux struct {
	mu       sync.Mutex
	room     int // bytes of items in a frame
	channels []*Channel
	classes  [wire.Classes]class
	flows    [flows]flow
	cycle    cycle
	replay   *replay.Window // nil: what has left is not sent again
	turns    turns
	start    time.Time
	beatAt   time.Time
	clockSet bool
	ending   bool // each channel states its totals once more
	scratch  []byte
	limits   Limits
	state    int // bytes that the state of all channels claims
}

// class is one of the streams of frames.
type class struct {
	channels []*Channel
	turn     int // whose turn it is
	waiting  int // queued records of all channels
	pieces   pieces
}

// pieces is a record that is sent in more than one item.
type pieces struct {
	kind  record.Kind
	body  []byte // what is left
	first bool
	owner *Channel // nil: the carousel, or replay
	seq   uint64
	left  func(error)
	buf   []byte
}

// The flows that share the line. Each is guaranteed its weight's share of it
// while it has something to send, and what others leave.
const (
	flowLive = iota
	flowBulk
	flowCarousel
	flows

	flowReplay // has no share: it uses what the others leave
)

type flow struct {
	weight float64
	pass   float64 // bytes sent ÷ weight: the flow furthest behind goes next
}

// MuxConfig is what a mux needs.
type MuxConfig struct {
	Room          int     // bytes of items in a frame
	CarouselShare float64 // of the line, guaranteed, 0…1
	Start         time.Time
	Limits        Limits
	Replay        *replay.Window // what has left is kept here, and sent again; nil: it is not
}

// bulkShare of what the carousel leaves is guaranteed to the bulk class.
const bulkShare = 0.3

// NewMux returns a mux without channels.
func NewMux(c MuxConfig) *Mux {
	m := &Mux{room: c.Room, start: c.Start, beatAt: c.Start, limits: c.Limits.orDefault(), replay: c.Replay}
	rest := 1 - c.CarouselShare
	m.flows = [flows]flow{{weight: rest * (1 - bulkShare)}, {weight: rest * bulkShare}, {weight: c.CarouselShare}}
	m.cycle.next = c.Start
	return m
}

// Channel adds a channel. It is partial and connecting at first.
func (m *Mux) Channel(name string, in wire.Class) *Channel {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Channel{id: record.ChannelID(name), name: name, class: in, partial: true, totalsAt: m.start}
	if m.replay != nil && name != record.Gateway {
		c.kept = m.replay.Channel(c.id)
	}
	m.channels = append(m.channels, c)
	m.classes[in].channels = append(m.classes[in].channels, c)
	return c
}

// Put queues a record. Its Left is called with nil by Sender.Sent. The events
// that had to make room are returned; they have no Left. An event that has one
// is refused, and not counted, without Room. A record that is refused otherwise
// counts as lost.
func (m *Mux) Put(c *Channel, r Record) (dropped []Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var k *key
	keyed := r.Key != nil && !r.Late
	if keyed {
		k = c.keys.find(r.Key)
	}
	switch err := m.admit(c, &r, k); err {
	case nil:
	case ErrFull:
		return nil, err
	default:
		c.refuse(err)
		return nil, err
	}
	c.accepted++
	if keyed && k == nil {
		k = c.keys.add(r.Key)
	}
	cl := &m.classes[c.class]
	if c.queue.add(&r, k) {
		c.conflated++
	} else {
		cl.waiting++
	}
	return m.makeRoom(c), nil
}

// Describe sets the state of the source in the channel's totals. They are sent at
// once when something changed.
func (m *Mux) Describe(c *Channel, state record.SourceState, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.state != state || c.reason != reason {
		c.state, c.reason, c.totalsDue = state, reason, true
	}
}

// SetComplete sets whether the source's initial snapshot is complete. What waits is
// sent before the totals that state it.
func (m *Mux) SetComplete(c *Channel, complete bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.complete == complete {
		return
	}
	if c.complete = complete; complete {
		c.queue.addMark()
		c.marks++
		m.classes[c.class].waiting++
	} else {
		c.partial, c.totalsDue = true, true
	}
}

// SetClock sets whether the time given to Fill is the time of day.
func (m *Mux) SetClock(set bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clockSet = set
}

// AddConflated counts values that were skipped before they reached the source.
func (m *Mux) AddConflated(c *Channel, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.accepted += n
	c.conflated += n
}

// Resume sets how many records of the channel earlier epochs had.
func (m *Mux) Resume(c *Channel, records uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.earlier = records
}

// AppendTotals appends the total of every channel to dst.
func (m *Mux) AppendTotals(dst []Total) []Total {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.channels {
		dst = append(dst, c.total())
	}
	return dst
}

// Range calls f with the channel's state as sent, oldest key first.
func (m *Mux) Range(c *Channel, f func(key, payload []byte) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.table.Range(f)
}

// Counts returns a channel's counters.
func (m *Mux) Counts(c *Channel) Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Counts{
		Sent: c.accepted, Conflated: c.conflated, Dropped: c.dropped, TooLarge: c.tooLarge, StateFull: c.stateFull,
		Queued: c.queue.bytes, Keys: c.table.Len(), StateBytes: c.claims.bytes, Partial: c.partial,
	}
}

// Filled is the payload of a frame.
type Filled struct {
	Payload []byte
	Class   wire.Class
	Lefts   []func(error) // of every record that ends in this frame
}

// Fill appends the items of the next frame to dst, and to lefts the Left of every
// record that ends in it. ok is false when there is nothing to send now. When it is the
// turn of replay's parity, the frame has its class and no items.
func (m *Mux) Fill(now time.Time, dst []byte, lefts []func(error), r ReplayTurn) (frame Filled, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := filler{mux: m, now: now, dst: dst, limit: len(dst) + m.room, lefts: lefts}
	var in wire.Class
	for len(f.dst) == len(dst) {
		flow, payer := m.choose(now, r)
		if flow < 0 {
			return Filled{Payload: dst, Lefts: lefts}, false
		}
		in = classOf(flow)
		f.class = &m.classes[in]
		switch {
		case flow == flowCarousel:
			f.carousel() // may find its cycle at an end, and send nothing
		case flow == flowReplay && r.Parity:
			m.sent(flow, payer, m.room)
			return Filled{dst, in, lefts}, true
		case flow == flowReplay:
			f.replay() // the same
		default:
			f.live(in)
		}
		m.sent(flow, payer, len(f.dst)-len(dst))
	}
	return Filled{f.dst, in, f.lefts}, true
}

// Backlog returns how many bytes of live records wait.
func (m *Mux) Backlog() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	bytes := 0
	for _, c := range m.channels {
		bytes += c.queue.bytes
	}
	return bytes
}

// Wake returns when Fill, which has nothing now, will have something to send even if
// nothing is Put. A carousel that is in a cycle then waits for replay's turn to pass.
func (m *Mux) Wake() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.beatAt
	for _, c := range m.channels {
		if c.totalsAt.Before(at) {
			at = c.totalsAt
		}
	}
	if !m.cycle.active && m.cycle.next.Before(at) {
		at = m.cycle.next
	}
	return at
}

// classOf returns the class of a flow's frames.
func classOf(flow int) wire.Class {
	switch flow {
	case flowLive:
		return wire.LowLatency
	case flowReplay:
		return wire.Replay
	}
	return wire.Bulk
}

// sent accounts for bytes of a flow, in the turn of the one that pays.
func (m *Mux) sent(flow, payer, bytes int) {
	m.turns.sent(flow, bytes)
	if payer < flows {
		m.flows[payer].pass += float64(bytes) / m.flows[payer].weight
	}
}

// choose returns the flow that is furthest behind among those with something
// to send, or −1, and the flow whose turn it uses.
func (m *Mux) choose(now time.Time, r ReplayTurn) (flow, payer int) {
	ready := [flows]bool{
		flowLive:     m.ready(wire.LowLatency, now) || !now.Before(m.beatAt),
		flowBulk:     m.ready(wire.Bulk, now),
		flowCarousel: m.cycle.begin(now),
	}
	best, least := -1, math.Inf(1)
	for i := range m.flows {
		if ready[i] && m.flows[i].pass < least {
			best, least = i, m.flows[i].pass
		}
	}
	for i := range m.flows { // a flow that had nothing to send saves nothing up
		if !ready[i] && best >= 0 {
			m.flows[i].pass = max(m.flows[i].pass, least)
		}
	}
	switch {
	case m.urgent():
		return flowLive, flowLive
	case best == flowCarousel && m.turns.replay() && m.replayReady(now, r):
		return flowReplay, flowCarousel // live records wait for this frame no longer than for that
	case best < 0 && r.Idle && m.replayReady(now, r):
		return flowReplay, flowReplay
	}
	return best, best
}

func (m *Mux) ready(in wire.Class, now time.Time) bool {
	cl := &m.classes[in]
	if cl.waiting > 0 || (cl.pieces.body != nil && cl.pieces.owner != nil) {
		return true
	}
	for _, c := range cl.channels {
		if c.totalsNow(now) {
			return true
		}
	}
	return false
}

func (m *Mux) urgent() bool {
	for _, c := range m.classes[wire.LowLatency].channels {
		if c.queue.urgent.head != nil {
			return true
		}
	}
	return false
}

func (c *Channel) totalsNow(now time.Time) bool { return c.totalsDue || !now.Before(c.totalsAt) }

// Waiting reports whether any record waits.
func (m *Mux) Waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.classes {
		if m.classes[i].waiting > 0 || m.classes[i].pieces.owner != nil {
			return true
		}
	}
	return false
}

// End has every channel state its totals once more, as what it sends last: all that was
// conflated by now is in them, and the next epoch cannot tell it from records. Until their
// parity has left, Sender.Open reports them.
func (m *Mux) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ending = true
	for _, c := range m.channels {
		c.totalsDue = true
	}
}

// Ended reports whether all of these totals have been sent.
func (m *Mux) Ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.classes {
		if m.classes[i].pieces.kind == record.KindTotals {
			return false
		}
	}
	return !slices.ContainsFunc(m.channels, func(c *Channel) bool { return c.totalsDue })
}

// Drain removes and returns all that waits. Of a record in pieces it returns the Left
// alone. What has a Left is not counted: its source keeps it.
func (m *Mux) Drain() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for i := range m.classes {
		p := &m.classes[i].pieces
		if p.left != nil && p.kind != record.KindTotals { // those of End are no record
			p.owner.accepted--
			out = append(out, Record{Left: p.left})
		}
		*p = pieces{}
	}
	for _, c := range m.channels {
		for !c.queue.empty() {
			m.classes[c.class].waiting--
			if c.queue.removeMark() {
				continue
			}
			r, k := m.nextRecord(c)
			c.keys.release(k, r.Key)
			if r.Left != nil {
				c.accepted--
			}
			out = append(out, r)
		}
	}
	return out
}
