package send

import (
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

// filler fills one frame.
type filler struct {
	mux   *Mux
	class *class
	now   time.Time
	dst   []byte
	limit int // of len(dst)
	lefts []func(error)
}

func (f *filler) space() int { return f.limit - len(f.dst) }

// live fills the frame with what channels wait to send: a heartbeat, which nothing may
// delay for long, then urgent records, then the record in pieces, then totals, then all
// channels in turn.
func (f *filler) live(in wire.Class) {
	if in == wire.LowLatency {
		f.heartbeat()
	}
	for _, c := range f.class.channels {
		for c.queue.urgent.head != nil && f.next(c) {
		}
	}
	if f.class.pieces.body != nil && !f.mux.ending { // it would leave too little room for totals
		f.allTotals()
	}
	f.continued()
	f.allTotals()
	f.turns()
	if f.space() >= minPiece {
		f.piece(f.space()) // what the others did not use
	}
}

func (f *filler) allTotals() {
	for _, c := range f.class.channels {
		f.totals(c)
	}
}

// turns is deficit round robin (Shreedhar and Varghese, 1996), except that a
// channel may overdraw its turn by one record.
func (f *filler) turns() {
	cl := f.class
	for idle := 0; idle < len(cl.channels); {
		c := cl.channels[cl.turn]
		if c.queue.empty() || cl.pieces.owner == c {
			c.deficit = 0
			idle++
		} else {
			idle = 0
			for c.deficit > 0 && !c.queue.empty() && cl.pieces.owner != c {
				before := len(f.dst)
				if !f.next(c) {
					return
				}
				c.deficit -= len(f.dst) - before
			}
		}
		if c.deficit <= 0 || c.queue.empty() {
			cl.turn = (cl.turn + 1) % len(cl.channels)
			if n := cl.channels[cl.turn]; !n.queue.empty() {
				n.deficit += quantum
			}
		}
	}
}

// next sends the channel's next record, or its first piece. It returns false
// when the frame has no room for it.
func (f *filler) next(c *Channel) bool {
	if f.class.pieces.owner == c {
		return false // numbers of a channel stay in order
	}
	it := c.queue.urgent.head
	if it == nil {
		if c.queue.removeMark() {
			f.class.waiting--
			c.passMark()
			return true
		}
		if f.batch(c) {
			return true
		}
		it = c.queue.normal.head
	}
	bound := it.size() // more than the head of an update needs
	fits := bound+record.ItemOverhead(bound) <= f.space()
	if !fits && (f.class.pieces.body != nil || f.space() < minPiece) {
		return false
	}
	r, k := f.mux.nextRecord(c)
	f.class.waiting--
	u := c.number(f.now, &r, k)
	f.mux.scratch = u.Append(f.mux.scratch[:0])
	f.item(record.KindUpdate, f.mux.scratch, c, r.Left)
	return true
}

// batch sends new values of keys that were sent before, as many as come next and
// fit. It returns false when there is none.
func (f *filler) batch(c *Channel) bool {
	m := f.mux
	body, run := record.AppendBatch(m.scratch[:0], c.id, c.seq+1), record.Run{}
	head := len(body)
	for it := c.queue.normal.head; it != nil && it.state(); it = c.queue.normal.head {
		if it.key.sent == nil {
			break
		}
		before := len(body)
		body = run.AppendChange(body, it.key.sent.Created(), it.Time, it.Payload)
		if len(body)+record.ItemOverhead(len(body)) > f.space() {
			body = body[:before]
			break
		}
		r, k := m.nextRecord(c)
		f.class.waiting--
		c.number(f.now, &r, k)
		f.left(r.Left)
	}
	m.scratch = body
	if len(body) == head {
		return false
	}
	f.item(record.KindBatch, body, nil, nil)
	return true
}

// item sends a complete record if there is room, else its first piece. There must
// be room for a piece, and no other record in pieces, if it does not fit.
func (f *filler) item(kind record.Kind, body []byte, owner *Channel, left func(error)) {
	if len(body)+record.ItemOverhead(len(body)) <= f.space() {
		f.dst = record.AppendItem(f.dst, record.Item{Kind: kind, First: true, Last: true, Body: body})
		f.left(left)
		return
	}
	p := &f.class.pieces
	p.buf = append(p.buf[:0], body...)
	p.kind, p.body, p.first, p.owner, p.left = kind, p.buf, true, owner, left
	if owner != nil {
		p.seq = owner.seq
	}
	f.piece(f.space())
}

// continued sends more of the record in pieces. One that needs many frames
// leaves half of each to the others.
func (f *filler) continued() {
	p := &f.class.pieces
	if p.body == nil {
		return
	}
	room := f.space()
	if len(p.body) > room && f.class.waiting > 0 {
		room /= 2
	}
	f.piece(room)
}

// piece sends the next piece of the record in pieces, if there is one.
func (f *filler) piece(room int) {
	p := &f.class.pieces
	n := min(len(p.body), room-record.ItemOverhead(room))
	if n <= 0 {
		return
	}
	last := n == len(p.body)
	f.dst = record.AppendItem(f.dst, record.Item{Kind: p.kind, First: p.first, Last: last, Body: p.body[:n]})
	p.body, p.first = p.body[n:], false
	if last {
		f.left(p.left)
		*p = pieces{buf: p.buf[:0]}
		if cap(p.buf) > 1<<20 {
			p.buf = nil
		}
	}
}

func (f *filler) left(fn func(error)) {
	if fn != nil {
		f.lefts = append(f.lefts, fn)
	}
}

func (f *filler) heartbeat() {
	m := f.mux
	if f.now.Before(m.beatAt) {
		return
	}
	h := record.Heartbeat{UTC: f.now.UnixNano(), ClockSet: m.clockSet,
		Uptime: uint64(f.now.Sub(m.start).Milliseconds())}
	if f.itemIfFits(record.KindHeartbeat, h.Append(m.scratch[:0]), nil) {
		m.beatAt = f.now.Add(heartbeatEvery)
	}
}

func (f *filler) totals(c *Channel) {
	if !c.totalsNow(f.now) {
		return
	}
	seq := c.seq
	if p := &f.class.pieces; p.owner == c {
		if p.kind == record.KindTotals {
			return // newer ones must not arrive before these
		}
		seq = p.seq - 1
	}
	t := c.totals(seq)
	f.mux.scratch = t.Append(f.mux.scratch[:0])
	var left func(error)
	if f.mux.ending {
		left = func(error) {} // Sender.Open alone waits for it
	}
	if f.class.pieces.body == nil && f.space() >= minPiece {
		f.item(record.KindTotals, f.mux.scratch, c, left)
	} else if !f.itemIfFits(record.KindTotals, f.mux.scratch, left) {
		return
	}
	c.totalsDue, c.totalsAt = false, f.now.Add(totalsEvery)
}

// itemIfFits sends a record if there is room for all of it.
func (f *filler) itemIfFits(kind record.Kind, body []byte, left func(error)) bool {
	f.mux.scratch = body
	if len(body)+record.ItemOverhead(len(body)) > f.space() {
		return false
	}
	f.item(kind, body, nil, left)
	return true
}
