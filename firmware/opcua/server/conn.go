package server

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/transport"
)

// conn is a connection with its channel. Requests are handled in turn; responses, those to
// Publish among them, are queued for the goroutine that sends.
type conn struct {
	server         *Server
	number         uint64 // of all connections so far
	tcp            *transport.Conn
	channel        *channel.Channel
	activeSessions int // activated sessions; sessions.mu

	mu          sync.Mutex
	drained     sync.Cond // on mu: the queue became shorter, or closed was set
	queue       []response
	queuedBytes int
	wake        chan struct{}
	done        chan struct{} // closed with closed
	closed      bool
}

type response struct {
	request uint32
	handle  uint32
	body    []byte
	parts   chan part // nil: body is the complete response
}

// serve handles a connection until it ends.
func (s *Server) serve(ctx context.Context, tcp *transport.Conn) {
	ch, err := s.channels.Open(ctx, tcp)
	if err != nil {
		return // the channel package has counted and logged it
	}
	defer s.channels.Forget(ch)
	defer ch.Close()
	ch.SetMaxMessage(smallMessage)
	c := &conn{server: s, number: s.connectionCount.Add(1), tcp: tcp, channel: ch,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.drained.L = &c.mu
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, func() { ch.Close() })
	defer stop()
	sent := make(chan struct{})
	go func() { defer close(sent); c.sendResponses() }()
	defer func() { c.close(); <-sent }()
	defer s.disconnected(c)
	for c.waitForSpace() {
		m, err := ch.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.cfg.Log.Debug("connection ended", "error", err, "client", tcp.RemoteAddr())
			}
			return
		}
		if !c.handleMessage(m) {
			return
		}
	}
}

// waitForSpace returns when the client has received enough of its responses for another
// request to be handled, false if the connection has ended.
func (c *conn) waitForSpace() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.queuedBytes > maxQueuedBytes && !c.closed {
		c.drained.Wait()
	}
	return !c.closed
}

// handleMessage handles a message; false ends the connection.
func (c *conn) handleMessage(m channel.Message) (goOn bool) {
	c.server.requests.Add(1)
	if m.Status != ua.StatusOK { // aborted, or too large
		return true
	}
	head, _, err := channel.PeekRequest(m.Body)
	if err != nil {
		c.server.faults.Add(1)
		c.channel.Fail(ua.StatusBadDecodingError, "")
		return false
	}
	q := &query{conn: c, server: c.server, head: head, request: m.RequestID, body: m.Body}
	q.head.Token = append([]byte(nil), head.Token...)
	defer func() {
		if r := recover(); r != nil {
			c.server.faults.Add(1)
			c.server.cfg.Log.Error("panic while handling request", "client", c.tcp.RemoteAddr(), "type",
				head.TypeID, "panic", r, "stack", string(debug.Stack()))
			c.channel.Fail(ua.StatusBadInternalError, "")
			goOn = false
		}
		if head.TypeID == id.ReadRequest_Encoding_DefaultBinary { // no part of it is kept
			c.channel.Recycle(m.Body)
		}
	}()
	return q.handle()
}

// enqueue queues a response for the goroutine that sends.
func (c *conn) enqueue(r response) {
	c.mu.Lock()
	full := len(c.queue) >= maxQueued
	if !full && !c.closed {
		c.queue = append(c.queue, r)
		c.queuedBytes += len(r.body)
	}
	c.mu.Unlock()
	if full {
		c.close()
		_ = c.tcp.Close()
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// sendResponses sends queued responses until the connection ends.
func (c *conn) sendResponses() {
	for {
		c.mu.Lock()
		var r response
		some := len(c.queue) > 0
		if some {
			r = c.queue[0]
			c.queue[0] = response{}
			c.queue = c.queue[1:]
		}
		closed := c.closed
		c.mu.Unlock()
		switch {
		case some:
			var err error
			if r.parts != nil {
				err = c.sendParts(r)
			} else {
				err = c.channel.Send(r.request, r.body)
			}
			if errors.Is(err, ua.StatusBadResponseTooLarge) {
				err = c.channel.Send(r.request,
					channel.Fault(r.handle, ua.StatusBadResponseTooLarge, c.server.cfg.Now()))
			}
			c.tcp.Release(len(r.body))
			c.mu.Lock()
			c.queuedBytes -= len(r.body)
			c.mu.Unlock()
			c.drained.Broadcast()
			if err != nil {
				_ = c.tcp.Close()
				c.close()
				return
			}
		case closed:
			return
		default:
			<-c.wake
		}
	}
}

func (c *conn) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.done)
	}
	c.mu.Unlock()
	c.drained.Broadcast()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
