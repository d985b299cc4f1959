package send

import "heliograph/firmware/conduit/record"

// stateOverhead is what a key costs beside its bytes, in bytes: its entry in the
// carousel, here and in its source.
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

// admit says why a channel cannot accept a record of a key, which is nil where the
// channel does not have it, or books what the record claims. A key that the channel
// has is never refused for the number of keys.
func (m *Mux) admit(c *Channel, r *Record, k *key) error {
	if len(r.Key) > record.MaxKey || r.size() > record.MaxRecord {
		return ErrTooLarge
	}
	if r.log() && r.Left != nil && !c.queue.room(m.limits.Held) {
		return ErrFull
	}
	if r.Key == nil || r.Late {
		return nil
	}
	more := r.claim().minus(k.claim())
	switch l := &m.limits; {
	case c.name == record.Gateway: // its few keys say what else is refused
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

// refuse accounts for a record that the channel cannot accept: it uses up a
// number, so that the receiver counts it as lost.
func (c *Channel) refuse(why error) {
	c.accepted++
	c.skipNumber()
	if why == ErrTooLarge {
		c.tooLarge++
	} else {
		c.stateFull++
	}
}

// nextRecord removes the next record from a channel's queue, to send it, and
// returns it with its key.
func (m *Mux) nextRecord(c *Channel) (Record, *key) {
	r, k := c.queue.pop()
	c.signalRoom(m.limits.Held)
	return r, k
}

// makeRoom drops loose events of a channel, or of the one that has most of them,
// until there is room, and returns them. Each uses up a number, so that the
// receiver counts it as lost.
func (m *Mux) makeRoom(c *Channel) (dropped []Record) {
	for c.queue.full(m.limits.Beside) {
		dropped = m.dropEvent(c, dropped)
	}
	for {
		fullest, all := c, 0
		n, most := c.queue.droppable()
		for _, c := range m.channels {
			events, bytes := c.queue.droppable()
			if all += bytes; bytes > most {
				fullest, n, most = c, events, bytes
			}
		}
		if all <= m.limits.Queued || n <= 1 {
			return dropped
		}
		dropped = m.dropEvent(fullest, dropped)
	}
}

func (m *Mux) dropEvent(c *Channel, dropped []Record) []Record {
	r, k, removed := c.queue.dropOldest()
	if !removed {
		return dropped
	}
	c.keys.release(k, r.Key)
	c.skipNumber()
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
	c.signalRoom(m.limits.Held)
	return wait
}

func (c *Channel) signalRoom(most int) {
	if c.roomy != nil && c.queue.room(most) {
		close(c.roomy)
		c.roomy = nil
	}
}
