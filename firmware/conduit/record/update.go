package record

import "encoding/binary"

// Update is one thing that happened on a channel: an event, a new value of a
// key, or both at once.
type Update struct {
	Channel uint16
	Seq     uint64 // 1, 2, 3 … within the epoch
	Created uint64 // the Seq at which the key was created, 1…Seq; 0 without a key
	Time    int64  // the source's timestamp, ns since 1970 UTC; 0: none given
	Event   bool   // an entry of the log: deliver every one, in order
	Delete  bool   // the key is gone
	Late    bool   // it happened before what was sent already: it never becomes the newest value
	Key     []byte // nil: no key
	Payload []byte
}

const (
	flagKeyed  = 1
	flagEvent  = 2
	flagDelete = 4
	flagTimed  = 8
	flagLate   = 16
)

// Append appends the encoded update to dst.
func (u *Update) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, u.Channel)
	dst = append(dst, u.flags())
	dst = binary.AppendUvarint(dst, u.Seq)
	if u.Time != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(u.Time))
	}
	if u.Key != nil {
		dst = binary.AppendUvarint(dst, u.Seq-u.Created)
		dst = binary.AppendUvarint(dst, uint64(len(u.Key)))
		dst = append(dst, u.Key...)
	}
	return append(dst, u.Payload...)
}

func (u *Update) flags() byte {
	var f byte
	if u.Key != nil {
		f |= flagKeyed
	}
	if u.Event {
		f |= flagEvent
	}
	if u.Delete {
		f |= flagDelete
	}
	if u.Time != 0 {
		f |= flagTimed
	}
	if u.Late {
		f |= flagLate
	}
	return f
}

// Parse decodes body; key and payload are parts of it.
func (u *Update) Parse(body []byte) error {
	c := cursor{rest: body}
	*u = Update{Channel: c.uint16()}
	f := c.byte()
	u.Seq = c.uvarint()
	u.Event = f&flagEvent != 0
	u.Delete = f&flagDelete != 0
	u.Late = f&flagLate != 0
	if f&flagTimed != 0 {
		u.Time = int64(c.uint64())
		c.bad = c.bad || u.Time == 0
	}
	if f&flagKeyed != 0 {
		age := c.uvarint()
		c.bad = c.bad || age >= u.Seq
		u.Created = u.Seq - age
		u.Key = c.bytes(MaxKey)
	}
	u.Payload = c.rest
	if c.bad || u.Seq == 0 || f > 31 || (!u.Event && u.Key == nil) || (u.Delete && u.Key == nil) {
		return ErrMalformed
	}
	return nil
}
