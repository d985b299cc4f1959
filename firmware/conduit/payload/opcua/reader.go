package opcua

import (
	"encoding/binary"

	"heliograph/firmware/opcua/rawvalue"
)

// reader reads what this package encodes; after the first fault all reads return zero.
type reader struct {
	b      []byte
	broken bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || size > 1 && r.b[size-1] == 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads the number of elements that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) next(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bytes() []byte { return r.next(r.count(1)) }

func (r *reader) nodeID() rawvalue.NodeID {
	c := rawvalue.NewCursor(r.b, rawvalue.Limits{})
	raw := c.NodeID()
	id, err := rawvalue.ParseNodeID(raw)
	if c.Err() != nil || err != nil {
		r.fail()
		return rawvalue.NodeID{}
	}
	r.b = r.b[c.Pos():]
	return id
}

func (r *reader) fail() { r.b, r.broken = nil, true }

func (r *reader) end() error {
	if r.broken || len(r.b) > 0 {
		return ErrMalformed
	}
	return nil
}
