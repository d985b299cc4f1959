package record

import (
	"encoding/binary"
	"hash/fnv"
)

// Manifest closes a channel's part of a carousel cycle: at Seq the channel had Keys
// keys, and Hash is the sum of KeyHash over them.
type Manifest struct {
	Channel uint16
	Partial bool // the source's initial snapshot in this epoch is not complete yet
	Seq     uint64
	Keys    uint64
	Hash    uint64
}

const flagPartial = 1

// KeyHash is what a key contributes to a manifest's hash. Sums of it do
// not depend on order, so both ends keep theirs up to date key by key.
func KeyHash(key []byte, created uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(key) // never fails
	x := h.Sum64() ^ created*0x9e3779b97f4a7c15
	x ^= x >> 32 // finalizer: neighbouring sequence numbers must not cancel out in the sum
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// Append appends the encoded manifest to dst.
func (m *Manifest) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, m.Channel)
	dst = append(dst, flag(m.Partial, flagPartial))
	dst = binary.AppendUvarint(dst, m.Seq)
	dst = binary.AppendUvarint(dst, m.Keys)
	return binary.BigEndian.AppendUint64(dst, m.Hash)
}

// Parse decodes body.
func (m *Manifest) Parse(body []byte) error {
	c := cursor{rest: body}
	*m = Manifest{Channel: c.uint16()}
	f := c.byte()
	m.Partial = f&flagPartial != 0
	m.Seq = c.uvarint()
	m.Keys = c.uvarint()
	m.Hash = c.uint64()
	if c.bad || len(c.rest) != 0 || f > 1 {
		return ErrMalformed
	}
	return nil
}
