// Package packet reads the fixed headers of MQTT control packets off a stream
// that another reader takes in pieces: what the next packet is, and how long,
// before that reader sees it. The bodies pass as they are.
//
//	packet  type(4 bits) flags(4 bits) remaining length(varint, 1 to 4) body
//	varint  7 bits a byte, least significant first, bit 7: more follow
//
// The layout is the same in MQTT 3.1.1 and 5.0 (section 2.1). The package refuses
// types and sizes that its user does not expect, and a length of five bytes.
package packet

import (
	"errors"
	"fmt"
)

// Types of control packets (MQTT 5.0 section 2.1.2).
const (
	Connect     = 1
	Connack     = 2
	Publish     = 3
	Puback      = 4
	Pubrec      = 5
	Pubrel      = 6
	Pubcomp     = 7
	Subscribe   = 8
	Suback      = 9
	Unsubscribe = 10
	Unsuback    = 11
	Pingreq     = 12
	Pingresp    = 13
	Disconnect  = 14
)

// maxHeader is the longest fixed header in bytes.
const maxHeader = 5

// Errors that Follow returns, with what was found.
var (
	ErrType   = errors.New("unexpected packet")
	ErrSize   = errors.New("packet too large")
	ErrLength = errors.New("remaining length of more than four bytes")
)

// Header collects a fixed header byte by byte. The zero value is ready.
type Header struct {
	bytes [maxHeader]byte
	n     int
	size  int64
}

// Add appends a byte. done is true once the header is complete; the next byte
// then begins another one.
func (h *Header) Add(b byte) (done bool, err error) {
	if h.n == maxHeader || h.n > 1 && h.bytes[h.n-1]&0x80 == 0 {
		h.n = 0
	}
	h.bytes[h.n] = b
	h.n++
	switch {
	case h.n == 1:
		return false, nil
	case b&0x80 == 0:
		h.size = 0
		for i := h.n - 1; i > 0; i-- {
			h.size = h.size<<7 | int64(h.bytes[i]&0x7f)
		}
		return true, nil
	case h.n == maxHeader:
		return false, ErrLength
	}
	return false, nil
}

// Bytes returns what the header has so far, valid until the next Add.
func (h *Header) Bytes() []byte { return h.bytes[:h.n] }

// First returns the first byte: type and flags.
func (h *Header) First() byte { return h.bytes[0] }

// Type returns the type of the packet.
func (h *Header) Type() byte { return h.bytes[0] >> 4 }

// Size returns how many bytes follow a complete header.
func (h *Header) Size() int64 { return h.size }

// Limits is what a stream may carry.
type Limits struct {
	Types uint16 // bit n: packets of type n
	Size  int64  // bytes behind the fixed header
}

// Follower follows the packets of a stream.
type Follower struct {
	Limits Limits
	Began  func(*Header) error   // at the end of a header; nil: nothing
	Body   func(*Header, []byte) // for each part of a body; nil: nothing
	Ended  func(*Header)         // at the end of a packet with a body; nil: nothing

	header Header
	left   int64 // bytes of the body to come
}

// Follow notes the next bytes of the stream. After an error it is not to be
// called again.
func (f *Follower) Follow(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, int64(len(b)))
			f.left -= n
			if f.Body != nil {
				f.Body(&f.header, b[:n])
			}
			b = b[n:]
			if f.left == 0 && f.Ended != nil {
				f.Ended(&f.header)
			}
			continue
		}
		if err := f.add(b[0]); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

// add takes a byte of a header, and refuses a packet as early as that can be known.
func (f *Follower) add(b byte) error {
	done, err := f.header.Add(b)
	kind := f.header.Type()
	switch {
	case f.Limits.Types>>kind&1 == 0:
		return fmt.Errorf("%w: type %d", ErrType, kind)
	case err != nil || !done:
		return err
	case f.header.Size() > f.Limits.Size:
		return fmt.Errorf("%w: type %d, %d bytes", ErrSize, kind, f.header.Size())
	}
	f.left = f.header.Size()
	if f.Began != nil {
		return f.Began(&f.header)
	}
	return nil
}
