// Package servertest is an OPC UA server for tests of clients. It runs over pipes, so
// that it works in a synctest bubble; it opens channels and sessions as a server does,
// and answers everything else as the test has it. What a test wants to be odd is a
// script or a switch here, beside the quirk's name.
//
// It refuses to have an address space, and to judge what a client does: a request that
// no script answers is Bad_ServiceUnsupported.
package servertest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// Endpoint is the address that the server gives in its endpoints.
const Endpoint = "opc.tcp://plc:4840"

// Config is what differs between servers. The zero value is a server with policy None
// that answers one request after the other.
type Config struct {
	// Channel is how channels are opened; nil is policy None.
	Channel *channel.ServerConfig
	// Opened and Closed are called with each channel; nil does nothing.
	Opened, Closed func(*channel.Channel)
	// Delay is how long a request waits before it is answered, beside others. nil
	// answers them in order.
	Delay func(Request) time.Duration
}

// Server is a server over pipes. Its methods are safe for concurrent use.
type Server struct {
	t      testing.TB
	cfg    Config
	pipes  pipes
	ctx    context.Context
	mu     sync.Mutex
	script map[uint32]Script
	counts map[uint32]int
}

// Request is a request that has arrived.
type Request struct {
	Channel          *channel.Channel
	ID, Kind, Handle uint32 // of the message, of the encoding, of the request
	Body             []byte // all of it
	rawvalue.Cursor         // behind the RequestHeader
}

// Script answers a request: with the payload behind a good ResponseHeader, or with a
// fault's code. nil and 0 answer nothing.
type Script func(Request) (payload []byte, code ua.StatusCode)

// New starts a server that ends with the test.
func New(t testing.TB, cfg Config) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{t: t, cfg: cfg, pipes: make(pipes), ctx: ctx, script: map[uint32]Script{},
		counts: map[uint32]int{}}
	s.openSessions()
	l, err := transport.NewListener(s.pipes, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Channel == nil {
		cfg.Channel = &channel.ServerConfig{
			Identity: func() channel.Identity { return channel.Identity{} },
			Security: []channel.Security{{Policy: ua.SecurityPolicyURINone,
				Mode: ua.MessageSecurityModeNone}},
		}
	}
	channels, err := channel.NewServer(*cfg.Channel)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			go s.serve(channels, conn)
		}
	}()
	t.Cleanup(func() { cancel(); l.Close() })
	return s
}

// Dialer connects clients to the server, at any address.
func (s *Server) Dialer() transport.Dialer {
	return transport.Dialer{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		s.pipes <- theirs
		return ours, nil
	}}
}

// On sets what answers requests of a kind, a number of its encoding.
func (s *Server) On(kind uint32, script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[kind] = script
}

// Script returns what answers requests of a kind, nil if nothing does.
func (s *Server) Script(kind uint32) Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.script[kind]
}

// Count returns how many requests of a kind have been answered.
func (s *Server) Count(kind uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[kind]
}

// ResetCount makes Count begin at 0.
func (s *Server) ResetCount(kind uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[kind] = 0
}

// Context ends with the test.
func (s *Server) Context() context.Context { return s.ctx }

func (s *Server) serve(channels *channel.Server, conn *transport.Conn) {
	ch, err := channels.Open(context.Background(), conn)
	if err != nil {
		return
	}
	defer ch.Close()
	if s.cfg.Opened != nil {
		s.cfg.Opened(ch)
	}
	if s.cfg.Closed != nil {
		defer s.cfg.Closed(ch)
	}
	queue := make(chan Request, 1000) // more are received meanwhile
	defer close(queue)
	go func() {
		for r := range queue {
			s.answer(r)
		}
	}()
	for {
		m, err := ch.Receive()
		if err != nil {
			return
		}
		head, rest, err := channel.PeekRequest(m.Body)
		if err != nil {
			s.t.Error(err)
			return
		}
		body := bytes.Clone(m.Body)
		r := Request{
			Channel: ch, ID: m.RequestID, Kind: head.TypeID, Handle: head.Handle, Body: body,
			Cursor: rawvalue.NewCursor(body[len(body)-len(rest):], rawvalue.Limits{}),
		}
		if s.cfg.Delay == nil {
			queue <- r
		} else {
			go s.answerLater(r)
		}
	}
}

func (s *Server) answerLater(r Request) {
	if d := s.cfg.Delay(r); d > 0 {
		select {
		case <-time.After(d):
		case <-s.ctx.Done():
			return
		}
	}
	s.answer(r)
}

func (s *Server) answer(r Request) {
	s.mu.Lock()
	s.counts[r.Kind]++
	script := s.script[r.Kind]
	s.mu.Unlock()
	if script == nil {
		s.Respond(r, nil, ua.StatusBadServiceUnsupported)
		return
	}
	payload, code := script(r)
	s.Respond(r, payload, code)
}

// Respond answers a request as a Script does.
func (s *Server) Respond(r Request, payload []byte, code ua.StatusCode) {
	switch {
	case code != 0:
		_ = r.Channel.Send(r.ID, channel.Fault(r.Handle, code, time.Now()))
	case payload != nil:
		// a response's type follows
		_ = r.Channel.Send(r.ID, append(ResponseHeader(r.Kind+3, r.Handle), payload...))
	}
}

// ResponseHeader is a good response's type and header.
func ResponseHeader(kind, handle uint32) []byte {
	return uabinary.AppendResponseHeader(nil, kind, handle, ua.StatusOK, time.Now())
}

// pipes is a net.Listener for connections that are made in this process.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }
