package server

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// maxWhole is how much of an answer is made before it begins to be sent, bytes: what one
// request asks for may be more than there is memory. A value that came over the link is
// smaller than 8 MiB.
const maxWhole = 1 << 20

// part is what follows of an answer that is sent while it is made.
type part struct {
	body  []byte
	abort ua.StatusCode // the answer ends here, with this code in its place
}

// answer is a response that is written by hand. It is queued once it is whole, or, where
// it is long, part by part: the next one is made when the client has taken the last, and
// meanwhile the request gives its turn to others.
type answer struct {
	q     *query
	b     []byte
	whole int // bytes after which it is sent in parts
	most  int // that the client takes
	sent  int
	parts chan part // nil: nothing was sent yet
}

func (q *query) answer(typeID uint32) *answer {
	a := &answer{q: q, b: q.raw(typeID), whole: maxWhole, most: q.channel.MaxSend()}
	if a.most <= maxResponse { // it is known before anything is sent that it is too large
		a.whole = a.most
	}
	return a
}

// maxResponse is what is kept of an answer to a client that takes no more, bytes.
const maxResponse = 8<<20 + 64<<10

// goOn tells whether more may follow. Where it may not, the client has been told.
func (a *answer) goOn() bool {
	switch {
	case len(a.b) <= a.whole:
		return true
	case a.sent+len(a.b) > a.most:
		a.fail(ua.StatusBadResponseTooLarge)
		return false
	case a.parts == nil:
		a.parts = make(chan part)
		a.q.stream(a.parts)
	}
	return a.hand()
}

// fail ends the answer with a code in its place.
func (a *answer) fail(code ua.StatusCode) {
	if a.parts == nil {
		a.q.fault(code)
		return
	}
	a.q.s.refused.Add(1)
	a.give(part{abort: code})
}

// end sends what is left.
func (a *answer) end() {
	a.b = noDiagnostics(a.b)
	switch {
	case a.parts == nil:
		a.q.respond(a.b)
	case a.sent+len(a.b) > a.most:
		a.fail(ua.StatusBadResponseTooLarge)
	case a.hand():
		close(a.parts)
	}
}

// hand gives what there is to the goroutine that sends, and waits until it takes it; false:
// it never will.
func (a *answer) hand() bool {
	c := a.q.conn
	if c.tcp.Reserve(len(a.b)) != nil {
		a.fail(ua.StatusBadOutOfMemory)
		return false
	}
	c.mu.Lock()
	c.bytes += len(a.b)
	c.mu.Unlock()
	a.sent += len(a.b)
	a.q.end() // whatever it takes the client, others have their turn
	ok := a.give(part{body: a.b})
	a.q.begin()
	a.b = nil
	return ok
}

func (a *answer) give(p part) bool {
	select {
	case a.parts <- p:
		return true
	case <-a.q.done:
		return false
	}
}

// stream queues an answer whose parts follow.
func (q *query) stream(parts chan part) {
	q.queued(response{request: q.request, handle: q.head.Handle, parts: parts})
}

// sendParts sends an answer while it is made.
func (c *conn) sendParts(r response) error {
	held := 0
	release := func() {
		c.tcp.Release(held)
		c.mu.Lock()
		c.bytes -= held
		c.mu.Unlock()
		held = 0
	}
	defer release()
	return c.channel.SendParts(r.request, func() ([]byte, channel.Step) {
		release() // the last one is out
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
