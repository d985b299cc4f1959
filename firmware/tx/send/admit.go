package send

import "heliograph/firmware/conduit/record"

// stateOverhead is what a key costs beside its bytes: its place in the
// carousel's table, here and in its source.
const stateOverhead = 256

// claims is the state that a channel will have once all that waits has left:
// the newest value of every key, sent or not.
type claims struct{ keys, bytes int }

func (c claims) plus(o claims) claims  { return claims{c.keys + o.keys, c.bytes + o.bytes} }
func (c claims) minus(o claims) claims { return claims{c.keys - o.keys, c.bytes - o.bytes} }

// claim is what a record's key claims once the record is the newest.
func (r *Record) claim() claims {
	if r.Key == nil || r.Delete {
		return claims{}
	}
	return claims{1, len(r.Key) + len(r.Payload) + stateOverhead}
}

// claimed is what a key claims now.
func (c *Channel) claimed(key []byte) claims {
	if it := c.queue.pending[string(key)]; it != nil {
		return it.claim()
	}
	if n, ok := c.table.Size(key); ok {
		return claims{1, n + stateOverhead}
	}
	return claims{}
}

// admit says why a channel cannot take a record, or books what it claims. A key
// that is known, or waits, is never refused for the number of keys.
func (m *Mux) admit(c *Channel, r *Record) error {
	if len(r.Key) > record.MaxKey || r.size() > record.MaxRecord {
		return ErrTooLarge
	}
	if r.Event && r.Left != nil && !c.queue.room(m.limits.Held) {
		return ErrFull
	}
	if r.Key == nil {
		return nil
	}
	more := r.claim().minus(c.claimed(r.Key))
	switch l := &m.limits; {
	case more.keys > 0 && c.claims.keys >= l.Keys,
		more.bytes > 0 && (c.claims.bytes+more.bytes > l.ChannelState || m.state+more.bytes > l.State),
		!r.Event && !r.Delete && m.bytes()+r.size() > l.State+l.Queued:
		return ErrStateFull
	}
	m.book(c, more)
	return nil
}

// book adds to what a channel's state claims.
func (m *Mux) book(c *Channel, more claims) {
	c.claims = c.claims.plus(more)
	m.state += more.bytes
}

// bytes returns what all channels have, sent and waiting: while a new value of a
// key waits, the carousel still has the old one.
func (m *Mux) bytes() (n int) {
	for _, c := range m.channels {
		n += c.table.Bytes() + c.queue.bytes
	}
	return n
}

// refuse accounts for a record that the channel cannot take: it uses up a
// number, so that the receiver counts it as lost.
func (c *Channel) refuse(why error) {
	c.accepted++
	c.seq++
	if why == ErrTooLarge {
		c.tooLarge++
	} else {
		c.stateFull++
	}
}

// take takes the next record out of a channel's queue, to send it.
func (m *Mux) take(c *Channel) Record {
	r, newest := c.queue.pop()
	c.tellRoom(m.limits.Held)
	if r.Key != nil && !newest && c.queue.pending[string(r.Key)] == nil {
		// What was newer was dropped, or overtook it: this one becomes the state.
		m.book(c, r.claim().minus(c.claimed(r.Key)))
	}
	return r
}

// makeRoom drops loose events of a channel, or of the one that has most of them,
// until there is room, and returns them: each uses up a number, so that the
// receiver counts it as lost without being told.
func (m *Mux) makeRoom(c *Channel) (dropped []Record) {
	for c.queue.full(m.limits.Beside) {
		dropped = m.drop(c, dropped)
	}
	for {
		all, most := 0, c
		for _, c := range m.channels {
			if all += c.queue.loose; c.queue.loose > most.queue.loose {
				most = c
			}
		}
		if all <= m.limits.Queued || most.queue.events.n <= 1 {
			return dropped
		}
		dropped = m.drop(most, dropped)
	}
}

func (m *Mux) drop(c *Channel, dropped []Record) []Record {
	r, gone := c.queue.dropOldest()
	if !gone {
		return dropped
	}
	c.seq++
	c.dropped++
	m.classes[c.class].waiting--
	return append(dropped, r)
}

// Room returns a channel that is closed once c has room for a held event.
func (m *Mux) Room(c *Channel) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.roomy == nil {
		c.roomy = make(chan struct{})
	}
	wait := c.roomy
	c.tellRoom(m.limits.Held)
	return wait
}

func (c *Channel) tellRoom(most int) {
	if c.roomy != nil && c.queue.room(most) {
		close(c.roomy)
		c.roomy = nil
	}
}
