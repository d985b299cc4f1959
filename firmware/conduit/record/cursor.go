package record

import "encoding/binary"

// cursor reads a body. The first short or overlong field makes it bad.
type cursor struct {
	rest []byte
	bad  bool
}

// next returns the next n bytes.
func (c *cursor) next(n uint64) []byte {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.next(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.next(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// uvarint accepts only the shortest form, so that every record has one encoding.
func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if c.bad || n <= 0 || (n > 1 && c.rest[n-1] == 0) {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// bytes reads a length, at most limit, and as many bytes.
func (c *cursor) bytes(limit uint64) []byte {
	n := c.uvarint()
	if n > limit {
		c.bad = true
	}
	return c.next(n)
}

// sum adds; a sum that overflows is bad.
func (c *cursor) sum(a, b uint64) uint64 {
	if a+b < a {
		c.bad = true
	}
	return a + b
}

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}
