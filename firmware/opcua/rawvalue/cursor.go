package rawvalue

import (
	"encoding/binary"

	"github.com/gopcua/opcua/ua"
)

// Cursor reads OPC UA Binary. After the first fault all calls return zeros, and Err
// describes it. A Cursor does not allocate, except for that error.
type Cursor struct {
	buf   []byte
	pos   int
	stop  int // end of what may be read: of buf, or of the value at its limit
	depth int
	lim   Limits
	err   *Error
}

// NewCursor starts at the beginning of b.
func NewCursor(b []byte, lim Limits) Cursor {
	return Cursor{buf: b, stop: len(b), lim: lim.withDefaults()}
}

// Pos returns the number of bytes read.
func (c *Cursor) Pos() int { return c.pos }

// Rest returns the unread bytes.
func (c *Cursor) Rest() []byte { return c.buf[c.pos:] }

// Err returns the first fault.
func (c *Cursor) Err() error {
	if c.err == nil {
		return nil // not a nil *Error in an interface
	}
	return c.err
}

func (c *Cursor) fail(code ua.StatusCode, what string) {
	if c.err == nil {
		c.err = &Error{Code: code, Offset: c.pos, What: what}
	}
	c.stop = c.pos // nothing more can be read
}

func (c *Cursor) malformed(what string) { c.fail(ua.StatusBadDecodingError, what) }
func (c *Cursor) exceeded(what string)  { c.fail(ua.StatusBadEncodingLimitsExceeded, what) }

// need reports whether there are n more bytes. n is not negative.
func (c *Cursor) need(n int) bool {
	if n <= c.stop-c.pos {
		return true
	}
	if c.err == nil && n <= len(c.buf)-c.pos {
		c.exceeded("value is longer than the limit")
	} else {
		c.malformed("value is truncated")
	}
	return false
}

// Skip skips n bytes.
func (c *Cursor) Skip(n int) {
	if n >= 0 && c.need(n) {
		c.pos += n
	}
}

// Byte reads one byte.
func (c *Cursor) Byte() byte {
	if !c.need(1) {
		return 0
	}
	c.pos++
	return c.buf[c.pos-1]
}

// Uint16 reads two bytes.
func (c *Cursor) Uint16() uint16 {
	if !c.need(2) {
		return 0
	}
	c.pos += 2
	return binary.LittleEndian.Uint16(c.buf[c.pos-2:])
}

// Uint32 reads four bytes.
func (c *Cursor) Uint32() uint32 {
	if !c.need(4) {
		return 0
	}
	c.pos += 4
	return binary.LittleEndian.Uint32(c.buf[c.pos-4:])
}

// Int64 reads eight bytes, such as a DateTime.
func (c *Cursor) Int64() int64 {
	if !c.need(8) {
		return 0
	}
	c.pos += 8
	return int64(binary.LittleEndian.Uint64(c.buf[c.pos-8:]))
}

// Bytes reads a String, ByteString or XmlElement; nil is null, empty is empty.
func (c *Cursor) Bytes() []byte {
	n := int(int32(c.Uint32()))
	if n < 0 {
		if n < -1 {
			c.malformed("length of a string is below −1")
		}
		return nil
	}
	if n > c.lim.String {
		c.exceeded("string is longer than the limit")
		return nil
	}
	if !c.need(n) || c.err != nil {
		return nil
	}
	c.pos += n
	return c.buf[c.pos-n : c.pos : c.pos]
}

// Length reads the length of an array whose elements take at least size bytes
// each; −1 is null. A length that exceeds the remaining bytes is a fault.
func (c *Cursor) Length(size int) int {
	n := int(int32(c.Uint32()))
	switch {
	case c.err != nil:
		return 0
	case n == -1:
		return n
	case n < -1:
		c.malformed("length of an array is below −1")
		return 0
	case n > c.lim.Array:
		c.exceeded("array is longer than the limit")
		return 0
	case !c.need(n * size): // both fit 32 bits, an int has 64 on every board
		return 0
	}
	return n
}

// enter enters a nesting level, which leave ends.
func (c *Cursor) enter() bool {
	if c.depth++; c.depth > c.lim.Depth {
		c.exceeded("value is nested deeper than the limit")
	}
	return c.err == nil
}

func (c *Cursor) leave() { c.depth-- }

// begin applies the limit of an outermost value; end removes it.
func (c *Cursor) begin() {
	if c.depth == 0 && c.lim.Bytes < c.stop-c.pos {
		c.stop = c.pos + c.lim.Bytes
	}
}

func (c *Cursor) end() {
	if c.depth == 0 && c.err == nil {
		c.stop = len(c.buf)
	}
}

// since returns the bytes read from start on, nil after a fault.
func (c *Cursor) since(start int) []byte {
	if c.err != nil {
		return nil
	}
	return c.buf[start:c.pos:c.pos]
}
