package record

import "encoding/binary"

// Batch is a run of state updates of one channel, of keys that were created before.
type Batch struct {
	Channel uint16
	Seq     uint64 // of the first change; each other's is one more
	changes []byte
}

// AppendBatch appends a batch's head; the changes follow with Run.AppendChange.
func AppendBatch(dst []byte, channel uint16, seq uint64) []byte {
	return binary.AppendUvarint(binary.BigEndian.AppendUint16(dst, channel), seq)
}

// AppendChange appends a change of a batch whose Run began at zero.
func (r *Run) AppendChange(dst []byte, created uint64, time int64, payload []byte) []byte {
	step := int64(created - r.Created)
	dst = append(dst, r.head(len(payload), time, step != 1))
	if step != 1 {
		dst = binary.AppendUvarint(dst, zigzagOf(step))
	}
	r.Created = created
	return r.appendTail(dst, time, payload)
}

// Parse decodes a batch's head; Changes walks the rest.
func (b *Batch) Parse(body []byte) error {
	c := cursor{rest: body}
	*b = Batch{Channel: c.uint16(), Seq: c.uvarint()}
	b.changes = c.rest
	if c.bad || b.Seq == 0 || len(c.rest) == 0 {
		return ErrMalformed
	}
	return nil
}

// Changes calls f with every change in the order of their numbers: an entry
// without a key, whose payload is a part of the parsed body.
func (b *Batch) Changes(f func(*Entry)) error {
	c, run, seq := cursor{rest: b.changes}, Run{}, b.Seq
	for ; len(c.rest) > 0; seq++ {
		head, step := c.byte(), int64(1)
		if head&createdStep != 0 {
			step = unzigzag(c.uvarint())
			c.bad = c.bad || step == 1
		}
		e := Entry{Seq: seq, Created: run.Created + uint64(step)}
		e.Time, e.Payload = run.tail(&c, head)
		if c.bad || e.Created == 0 || e.Created >= seq {
			return ErrMalformed
		}
		run.Created = e.Created
		f(&e)
	}
	return nil
}
