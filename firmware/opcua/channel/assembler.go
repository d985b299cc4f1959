package channel

import (
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// Message is a complete message. If the peer aborted it, or a response exceeds our limits,
// Status has the reason and Body is empty.
type Message struct {
	RequestID uint32
	Body      []byte
	Status    ua.StatusCode
}

// memory accounts for the bytes of a message until it is complete.
type memory interface {
	Reserve(n int) error
	Release(n int)
}

// assembler puts the chunks of one message at a time together. Only bodies are
// kept, in one buffer, so many small chunks cost no more than one large.
type assembler struct {
	memory    memory
	maxBytes  int
	maxChunks int
	client    bool // skip a response that is too large, keep the channel; since is that of its last chunk
	buf       []byte
	reserved  int
	given     int // bytes of the last message, which its receiver still uses
	chunks    int
	bytes     int
	request   uint32
	active    bool
	since     time.Time
	spare     []byte // a recycled buffer
}

// tooMuch bounds how far beyond the limits a response is read in order to skip it.
const tooMuch = 16

// add adds one verified chunk. done reports whether m is a complete message.
func (a *assembler) add(flag byte, request uint32, body []byte, now time.Time) (m Message, done bool, err error) {
	switch {
	case !a.active:
		a.active, a.request, a.since = true, request, now
	case a.request != request:
		return m, false, fail(ua.StatusBadTCPInternalError, "chunks of two messages are mixed")
	case a.client:
		a.since = now
	}
	if flag == transport.Abort {
		a.drop()
		e := transport.ParseError(body)
		return Message{RequestID: request, Status: e.Code}, true, nil
	}
	a.chunks++
	a.bytes += len(body)
	if over := a.bytes > a.maxBytes || a.chunks > a.maxChunks; over {
		if !a.client || a.bytes/tooMuch > a.maxBytes || a.chunks/tooMuch > a.maxChunks {
			return m, false, fail(ua.StatusBadTCPMessageTooLarge, "message has too many bytes or chunks")
		}
		a.forget()
		if flag != transport.Final {
			return m, false, nil
		}
		a.drop()
		return Message{RequestID: request, Status: ua.StatusBadResponseTooLarge}, true, nil
	}
	if err := a.keep(body); err != nil {
		return m, false, err
	}
	if flag != transport.Final {
		return m, false, nil
	}
	m = Message{RequestID: request, Body: a.buf}
	a.given, a.reserved, a.buf = a.given+a.reserved, 0, nil
	a.drop()
	return m, true, nil
}

// release returns the memory of the last message.
func (a *assembler) release() {
	a.memory.Release(a.given)
	a.given = 0
}

func (a *assembler) keep(body []byte) error {
	need := len(a.buf) + len(body)
	if a.buf == nil && cap(a.spare) >= need {
		a.buf, a.spare = a.spare[:0], nil
		if err := a.reserve(cap(a.buf)); err != nil {
			return err
		}
	}
	if need > cap(a.buf) {
		size := need
		if a.chunks > 1 { // several chunks: grow by doubling
			size = min(max(need, 2*cap(a.buf)), a.maxBytes)
		}
		if err := a.reserve(size - cap(a.buf)); err != nil {
			return err
		}
		bigger := make([]byte, len(a.buf), size)
		copy(bigger, a.buf)
		a.buf = bigger
	}
	a.buf = append(a.buf, body...)
	return nil
}

func (a *assembler) reserve(n int) error {
	if err := a.memory.Reserve(n); err != nil {
		return err
	}
	a.reserved += n
	return nil
}

func (a *assembler) forget() {
	a.memory.Release(a.reserved)
	a.buf, a.reserved = nil, 0
}

func (a *assembler) drop() {
	a.forget()
	a.active, a.chunks, a.bytes = false, 0, 0
}

// recycle keeps a message's buffer for the next one.
func (a *assembler) recycle(b []byte) {
	if cap(b) > cap(a.spare) && cap(b) <= maxSpare {
		a.spare = b[:0]
	}
}

const maxSpare = 64 << 10
