package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
)

// Update applies a live record.
func (c *Channel) Update(u *record.Update) {
	old := c.countArrival(u.Seq)
	if u.Key == nil || u.Late {
		if !c.countDelivered(u.Seq, old) {
			return
		}
		c.deliver(Update{
			Key: bytes.Clone(u.Key), Payload: bytes.Clone(u.Payload), Time: u.Time, Event: u.Event, Delete: u.Delete,
			Late: u.Late,
		})
		return
	}
	c.held.discard(u.Created) // what is held is older
	v := c.keys[string(u.Key)]
	if v != nil && v.seq >= u.Seq {
		return // a page had this very value before, or a newer one
	}
	if u.Delete {
		c.countDelivered(u.Seq, old)
		c.addTombstone(u, v)
		c.deliver(Update{
			Key: bytes.Clone(u.Key), Payload: bytes.Clone(u.Payload), Time: u.Time, Event: u.Event, Delete: true,
		})
		return
	}
	if v == nil {
		if !c.roomForKey(u.Key) {
			c.countValue(u.Seq, old, false)
			return
		}
		v = c.addKey(u.Key)
	}
	kept := c.makeRoom(v, len(u.Payload))
	c.countValue(u.Seq, old, kept)
	if v.created != u.Created {
		c.changed = max(c.changed, u.Created)
	}
	c.setCreated(v, u.Created)
	c.setValue(v, &record.Entry{Seq: u.Seq, Time: u.Time, Payload: u.Payload}, u.Event, kept)
}

// Batch applies new values of keys that are named by their creation.
func (c *Channel) Batch(b *record.Batch) error { return b.Changes(c.applyChange) }

func (c *Channel) applyChange(e *record.Entry) {
	old := c.countArrival(e.Seq)
	switch v := c.byCreation[e.Created]; {
	case v == nil:
		if kept := c.held.store(e); !old {
			c.countHeld(e.Seq, kept)
		}
	case v.seq < e.Seq:
		kept := c.makeRoom(v, len(e.Payload))
		c.countValue(e.Seq, old, kept)
		c.setValue(v, e, false, kept)
	}
}

// setValue makes e the newest value, and delivers it unless a restarted transmitter
// only repeats it. A value for which makeRoom found no room is not kept.
func (c *Channel) setValue(v *value, e *record.Entry, event, kept bool) {
	if !kept {
		v.payload, v.time, v.seq, v.placeholder = nil, 0, e.Seq, true
		if e.Seq > c.gap {
			v.round = c.round.id
		}
		c.withdrawValue(v)
		return
	}
	same := !event && v.seq == 0 && !v.placeholder && v.time == e.Time && bytes.Equal(v.payload, e.Payload)
	v.payload, v.time, v.seq, v.placeholder, v.shown = bytes.Clone(e.Payload), e.Time, e.Seq, false, true
	if e.Seq > c.gap {
		v.round = c.round.id
	}
	if !same {
		c.deliver(Update{Key: []byte(v.key), Payload: v.payload, Time: e.Time, Event: event})
	}
}

// withdrawValue delivers that a key's value is not the newest any more, for which there was no room.
func (c *Channel) withdrawValue(v *value) {
	if v.shown {
		v.shown = false
		c.deliver(Update{Key: []byte(v.key), Delete: true, Valueless: true})
	}
}

// addKey adds a key that has no value yet.
func (c *Channel) addKey(key []byte) *value {
	v := &value{key: string(key), placeholder: true}
	c.keys[v.key] = v
	c.addBytes(len(v.key) + keyOverhead)
	return v
}

// setCreated sets the number at which a key was created; 0: not known any more.
func (c *Channel) setCreated(v *value, created uint64) {
	if v.created == created {
		return
	}
	if v.created != 0 {
		c.hash -= record.KeyHash([]byte(v.key), v.created)
		delete(c.byCreation, v.created)
	}
	if v.created = created; created != 0 {
		c.hash += record.KeyHash([]byte(v.key), created)
		c.byCreation[created] = v
	}
}

func (c *Channel) removeKey(v *value) {
	c.setCreated(v, 0)
	c.makeRoom(v, 0)
	c.addBytes(-len(v.key) - keyOverhead)
	delete(c.keys, v.key)
}

func (c *Channel) addTombstone(u *record.Update, v *value) {
	if v != nil {
		c.removeKey(v)
	}
	c.tombstones.add(u.Key, u.Seq)
	c.changed = u.Seq
}
