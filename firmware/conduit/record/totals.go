package record

import (
	"encoding/binary"
	"unicode/utf8"
)

// Totals states what the transmitter has sent of a channel. It is sent each second
// in the channel's own class, and at each change of the source's state. Everything
// up to Seq was sent before it, so a receiver that has less has lost the rest.
type Totals struct {
	Channel   uint16
	Partial   bool
	State     SourceState
	Seq       uint64
	Conflated uint64 // state values skipped because a newer one came, in this epoch
	Dropped   uint64 // records that the transmitter's own full queue dropped, part of Seq
	Keys      uint64
	Earlier   uint64 // records of all earlier epochs that the transmitter has a count of
	Reason    string // of the state, in words
}

// MaxReason bounds a reason, in bytes.
const MaxReason = 200

const flagEarlier = 2

// Append appends the encoded totals to dst. Reason is cut to MaxReason.
func (t *Totals) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, t.Channel)
	dst = append(dst, flag(t.Partial, flagPartial)|flag(t.Earlier > 0, flagEarlier), byte(t.State))
	dst = binary.AppendUvarint(dst, t.Seq)
	dst = binary.AppendUvarint(dst, t.Conflated)
	dst = binary.AppendUvarint(dst, t.Dropped)
	dst = binary.AppendUvarint(dst, t.Keys)
	if t.Earlier > 0 {
		dst = binary.AppendUvarint(dst, t.Earlier)
	}
	return append(dst, cut(t.Reason)...)
}

// cut returns at most MaxReason bytes of s, which end in a complete character.
func cut(s string) string {
	if len(s) <= MaxReason {
		return s
	}
	s = s[:MaxReason]
	for !utf8.ValidString(s) && len(s) > MaxReason-utf8.UTFMax {
		s = s[:len(s)-1]
	}
	return s
}

// Parse decodes body.
func (t *Totals) Parse(body []byte) error {
	c := cursor{rest: body}
	*t = Totals{Channel: c.uint16()}
	f := c.byte()
	t.Partial = f&flagPartial != 0
	t.State = SourceState(c.byte())
	t.Seq = c.uvarint()
	t.Conflated = c.uvarint()
	t.Dropped = c.uvarint()
	t.Keys = c.uvarint()
	if f&flagEarlier != 0 {
		t.Earlier = c.uvarint()
	}
	unknown := f > flagPartial|flagEarlier || t.State >= sourceStates
	if c.bad || unknown || f&flagEarlier != 0 && t.Earlier == 0 || len(c.rest) > MaxReason {
		return ErrMalformed
	}
	t.Reason = string(c.rest)
	return nil
}
