package server

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// part is a part of a response that is sent while it is encoded.
type part struct {
	body  []byte
	abort ua.StatusCode // ends the message with this code
}

// responseWriter encodes a response by hand. A short response is queued when it is complete, a
// long one part by part: the next part is encoded when the last one was sent, and meanwhile
// the request releases its admission.
type responseWriter struct {
	query    *query
	buf      []byte
	scratch  []byte // of the operation that is encoded; released while the client receives
	partSize int    // bytes after which a part is sent
	limit    int    // of the message, from the hello
	sent     int
	parts    chan part // nil: no part was sent yet
}

func (q *query) newResponse(typeID uint32) *responseWriter {
	a := &responseWriter{query: q, buf: q.rawResponse(typeID), partSize: maxPart, limit: q.conn.channel.MaxSend()}
	if a.limit <= maxResponse { // too large a response is refused before any part is sent
		a.partSize = a.limit
	}
	return a
}

// flush sends a part if it is due, and reports whether to go on. If not, the response has
// ended with a code.
func (a *responseWriter) flush() bool {
	switch {
	case len(a.buf) <= a.partSize:
		return true
	case a.sent+len(a.buf) > a.limit:
		a.fail(ua.StatusBadResponseTooLarge)
		return false
	case a.parts == nil:
		a.parts = make(chan part)
		a.query.enqueueParts(a.parts)
	}
	return a.sendPart()
}

// fail ends the response with a code, which waits for the client like any part.
func (a *responseWriter) fail(code ua.StatusCode) {
	if a.parts == nil {
		a.query.fault(code)
		return
	}
	a.query.server.refused.Add(1)
	a.buf = nil // it is not reserved
	a.deliver(part{abort: code})
}

// end sends the rest.
func (a *responseWriter) end() {
	a.buf = appendNoDiagnostics(a.buf)
	switch {
	case a.parts == nil:
		a.query.respond(a.buf)
	case a.sent+len(a.buf) > a.limit:
		a.fail(ua.StatusBadResponseTooLarge)
	case a.sendPart():
		close(a.parts)
	}
}

// sendPart passes the buffer to the goroutine that sends; false if the response has ended.
func (a *responseWriter) sendPart() bool {
	c := a.query.conn
	if c.tcp.Reserve(len(a.buf)) != nil {
		a.fail(ua.StatusBadOutOfMemory)
		return false
	}
	c.mu.Lock()
	c.queuedBytes += len(a.buf)
	c.mu.Unlock()
	a.sent += len(a.buf)
	p := part{body: a.buf}
	a.buf = nil
	return a.deliver(p)
}

// deliver waits until the goroutine that sends accepts a part; false if the connection has ended.
func (a *responseWriter) deliver(p part) bool {
	a.scratch = nil   // it may be a whole value, of which buf has a range, and is not reserved
	a.query.release() // other requests are handled while the client receives
	defer a.query.admit()
	select {
	case a.parts <- p:
		return true
	case <-a.query.conn.done:
		return false
	}
}

// enqueueParts queues a response whose parts follow.
func (q *query) enqueueParts(parts chan part) {
	q.conn.enqueue(response{request: q.request, handle: q.head.Handle, parts: parts})
}

// sendParts sends a response while it is encoded.
func (c *conn) sendParts(r response) error {
	held := 0
	release := func() {
		c.tcp.Release(held)
		c.mu.Lock()
		c.queuedBytes -= held
		c.mu.Unlock()
		held = 0
	}
	defer release()
	return c.channel.SendParts(r.request, func() ([]byte, channel.Step) {
		release() // the previous part is sent
		select {
		case p, more := <-r.parts:
			if held = len(p.body); !more {
				return nil, channel.Last
			}
			if p.abort != ua.StatusOK {
				return nil, channel.Step(p.abort)
			}
			return p.body, channel.More
		case <-c.done:
			return nil, channel.Step(ua.StatusBadConnectionClosed)
		}
	})
}
