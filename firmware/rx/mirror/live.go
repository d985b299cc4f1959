package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
)

// Update takes a live record.
func (c *Channel) Update(u *record.Update) {
	missed := c.arrived(u.Seq)
	if u.Key == nil {
		c.delivered(missed)
		c.deliver(Update{Time: u.Time, Event: u.Event, Payload: bytes.Clone(u.Payload)})
		return
	}
	c.held.forget(u.Created) // what is held is older
	v := c.keys[string(u.Key)]
	if v != nil && v.seq >= u.Seq {
		return // a page has brought this very value before, or a newer one
	}
	if u.Delete {
		c.delivered(missed)
		c.bury(u, v)
		c.deliver(Update{Key: bytes.Clone(u.Key), Payload: bytes.Clone(u.Payload), Time: u.Time, Event: u.Event, Delete: true})
		return
	}
	if v == nil {
		if !c.roomFor(u.Key) {
			c.came(missed, false)
			return
		}
		v = c.add(u.Key)
	}
	kept := c.fit(v, len(u.Payload))
	c.came(missed, kept)
	if v.born != u.Created {
		c.changed = max(c.changed, u.Created)
	}
	c.bind(v, u.Created)
	c.set(v, &record.Entry{Seq: u.Seq, Time: u.Time, Payload: u.Payload}, u.Event, kept)
}

// Batch takes new values of keys that are known by their births.
func (c *Channel) Batch(b *record.Batch) error { return b.Changes(c.change) }

func (c *Channel) change(e *record.Entry) {
	missed := c.arrived(e.Seq)
	switch v := c.births[e.Created]; {
	case v == nil:
		if kept := c.held.put(e); missed {
			return
		} else if kept {
			c.counts.Unknown++
		} else {
			c.counts.Lost++
		}
	case v.seq < e.Seq:
		kept := c.fit(v, len(e.Payload))
		c.came(missed, kept)
		c.set(v, e, false, kept)
	}
}

// arrived takes note of a live record's number. missed says that the record was
// counted as unknown, as one sent before the channel was joined, but came after.
func (c *Channel) arrived(seq uint64) (missed bool) {
	if seq < c.expect {
		return true
	}
	c.reach(seq)
	c.expect = seq + 1
	return false
}

// reach accounts for the numbers between the last record and seq.
func (c *Channel) reach(seq uint64) {
	switch {
	case c.expect == 0:
		c.joined = seq - 1
		c.counts.Unknown += seq - 1
		c.expect, c.gap = seq, seq-1
	case seq > c.expect:
		if c.doubt {
			c.counts.Unknown += seq - c.expect
			c.joined = seq - 1
		} else {
			c.counts.Lost += seq - c.expect
		}
		c.expect, c.gap = seq, seq-1
		c.round.restart(true)
	}
	c.doubt = false
}

// delivered counts a record, which unknown says was counted as such.
func (c *Channel) delivered(unknown bool) {
	c.counts.Delivered++
	if unknown {
		c.counts.Unknown -= min(c.counts.Unknown, 1)
	}
}

// set makes e the newest value, and delivers it unless a restarted transmitter
// only repeats what is known. A value for which fit found no room is not kept.
func (c *Channel) set(v *value, e *record.Entry, event, kept bool) {
	if !kept {
		v.payload, v.time, v.seq, v.ghost = nil, 0, e.Seq, true
		if e.Seq > c.gap {
			v.round = c.round.id
		}
		return
	}
	same := !event && v.seq == 0 && !v.ghost && v.time == e.Time && bytes.Equal(v.payload, e.Payload)
	v.payload, v.time, v.seq, v.ghost = bytes.Clone(e.Payload), e.Time, e.Seq, false
	if e.Seq > c.gap {
		v.round = c.round.id
	}
	if !same {
		c.deliver(Update{Key: []byte(v.key), Payload: v.payload, Time: e.Time, Event: event})
	}
}

// add adds a key that has no value yet.
func (c *Channel) add(key []byte) *value {
	v := &value{key: string(key), ghost: true}
	c.keys[v.key] = v
	c.book(len(v.key) + keyOverhead)
	delete(c.graves, v.key)
	return v
}

// bind says when a key was born; 0: nobody knows any more.
func (c *Channel) bind(v *value, born uint64) {
	if v.born == born {
		return
	}
	if v.born != 0 {
		c.hash -= record.KeyHash([]byte(v.key), v.born)
		delete(c.births, v.born)
	}
	if v.born = born; born != 0 {
		c.hash += record.KeyHash([]byte(v.key), born)
		c.births[born] = v
	}
}

func (c *Channel) remove(v *value) {
	c.bind(v, 0)
	c.fit(v, 0)
	c.book(-len(v.key) - keyOverhead)
	delete(c.keys, v.key)
}

func (c *Channel) bury(u *record.Update, v *value) {
	if v != nil {
		c.remove(v)
	}
	c.graves[string(u.Key)] = grave{seq: u.Seq, born: u.Created}
	c.changed = u.Seq
}
