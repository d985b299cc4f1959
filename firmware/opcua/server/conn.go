package server

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// conn is one connection with its channel. Requests are taken one by one; responses,
// those to Publish among them, wait in a queue for the goroutine that sends.
type conn struct {
	s       *Server
	tcp     *transport.Conn
	channel *channel.Channel
	carried int // activated sessions; sessions.mu

	mu     sync.Mutex
	room   sync.Cond // mu: the queue has become shorter, or nothing will be sent any more
	queue  []response
	bytes  int
	wake   chan struct{}
	done   chan struct{} // closed with closed
	closed bool
}

type response struct {
	request uint32
	handle  uint32
	body    []byte
	parts   chan part // nil: body is all of it
}

// serve is the life of a connection.
func (s *Server) serve(ctx context.Context, tcp *transport.Conn) {
	ch, err := s.channels.Open(ctx, tcp)
	if err != nil {
		return // the channel package has counted and logged it
	}
	defer s.channels.Forget(ch)
	defer ch.Close()
	ch.SetMaxMessage(smallMessage)
	c := &conn{s: s, tcp: tcp, channel: ch, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.room.L = &c.mu
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
	go func() { defer close(sent); c.send() }()
	defer func() { c.close(); <-sent }()
	defer s.abandon(c)
	for c.wait() {
		m, err := ch.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.cfg.Log.Debug("opcua server: connection ended", "client", tcp.RemoteAddr(), "error", err)
			}
			return
		}
		if !c.take(m) {
			return
		}
	}
}

// wait returns when the client has taken enough of its answers for another request to
// be taken; false: it never will.
func (c *conn) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes > maxQueuedBytes && !c.closed {
		c.room.Wait()
	}
	return !c.closed
}

// take handles one message; false ends the connection.
func (c *conn) take(m channel.Message) (goOn bool) {
	c.s.requests.Add(1)
	if m.Status != ua.StatusOK { // aborted, or larger than it may be
		return true
	}
	head, _, err := channel.PeekRequest(m.Body)
	if err != nil {
		c.s.faults.Add(1)
		c.channel.Fail(ua.StatusBadDecodingError, "")
		return false
	}
	q := &query{conn: c, head: head, request: m.RequestID, body: m.Body}
	q.head.Token = append([]byte(nil), head.Token...)
	defer func() {
		if r := recover(); r != nil {
			c.s.faults.Add(1)
			c.s.cfg.Log.Error("opcua server: a request broke its handler", "client", c.tcp.RemoteAddr(), "type", head.TypeID, "panic", r, "stack", string(debug.Stack()))
			c.channel.Fail(ua.StatusBadInternalError, "")
			goOn = false
		}
		if head.TypeID == id.ReadRequest_Encoding_DefaultBinary { // nothing of it is kept
			c.channel.Recycle(m.Body)
		}
	}()
	return q.handle()
}

// query is a request under way.
type query struct {
	*conn
	head    channel.RequestHead
	request uint32
	body    []byte
	session *session
	person  []*x509.Certificate // the user's, where he has shown one
	client  subscription.Client // the session's, as it was when the request came
	begin   func()              // waits for a turn, which end ends
	end     func()
	members *members // of the View that it is about
}

// handle answers one request; false ends the connection.
func (q *query) handle() bool {
	if q.head.TypeID == id.CloseSecureChannelRequest_Encoding_DefaultBinary {
		return false
	}
	sv, ok := services[q.head.TypeID]
	if !ok {
		q.fault(ua.StatusBadServiceUnsupported)
		return true
	}
	if sv.session {
		if code := q.authenticate(); code != ua.StatusOK {
			q.refuse(code, "this service needs a session that is activated, on the channel that it lives on")
			return true
		}
		q.session.used[q.head.TypeID].total.Add(1)
	}
	if sv.refused {
		q.refuse(ua.StatusBadServiceUnsupported, q.s.cfg.Refusal)
		return true
	}
	size := len(q.body)
	q.begin = func() { q.end = q.s.turns.take(size, sv.large) }
	q.begin()
	req, err := channel.DecodeRequest(q.body) // does not panic
	if sv.slow {
		q.end()
	} else {
		defer func() { q.end() }()
	}
	if err != nil {
		q.s.faults.Add(1)
		q.fault(ua.StatusBadDecodingError)
		return true
	}
	q.body = nil // a Publish waits long
	sv.serve(q, req)
	return true
}

// service says how a kind of request is answered.
type service struct {
	serve   func(*query, any)
	session bool // it needs an activated session
	refused bool // it is not supported at all
	large   bool // the answer may be
	slow    bool // keys and passwords are worked on, which is bounded where it is done
}

func typed[T any](f func(*query, T)) func(*query, any) {
	return func(q *query, req any) {
		r, ok := req.(T)
		if !ok {
			q.fault(ua.StatusBadDecodingError)
			return
		}
		f(q, r)
	}
}

// services are all that is known, by the NodeId of the request's encoding.
var services = map[uint32]service{
	id.GetEndpointsRequest_Encoding_DefaultBinary:                  {serve: typed((*query).getEndpoints)},
	id.FindServersRequest_Encoding_DefaultBinary:                   {serve: typed((*query).findServers)},
	id.CreateSessionRequest_Encoding_DefaultBinary:                 {serve: typed((*query).createSession), slow: true},
	id.ActivateSessionRequest_Encoding_DefaultBinary:               {serve: typed((*query).activateSession), slow: true},
	id.CloseSessionRequest_Encoding_DefaultBinary:                  {serve: typed((*query).closeSession)},
	id.CancelRequest_Encoding_DefaultBinary:                        {serve: typed((*query).cancel), session: true},
	id.ReadRequest_Encoding_DefaultBinary:                          {serve: typed((*query).read), session: true, large: true},
	id.BrowseRequest_Encoding_DefaultBinary:                        {serve: typed((*query).browse), session: true, large: true},
	id.BrowseNextRequest_Encoding_DefaultBinary:                    {serve: typed((*query).browseNext), session: true, large: true},
	id.TranslateBrowsePathsToNodeIDsRequest_Encoding_DefaultBinary: {serve: typed((*query).translate), session: true, large: true},
	id.RegisterNodesRequest_Encoding_DefaultBinary:                 {serve: typed((*query).registerNodes), session: true},
	id.UnregisterNodesRequest_Encoding_DefaultBinary:               {serve: typed((*query).unregisterNodes), session: true},
	id.WriteRequest_Encoding_DefaultBinary:                         {serve: typed((*query).write), session: true},
	id.CallRequest_Encoding_DefaultBinary:                          {serve: typed((*query).callMethods), session: true},
	id.HistoryReadRequest_Encoding_DefaultBinary:                   {serve: typed((*query).historyRead), session: true},
	id.HistoryUpdateRequest_Encoding_DefaultBinary:                 {serve: typed((*query).historyUpdate), session: true},
	id.AddNodesRequest_Encoding_DefaultBinary:                      {session: true, refused: true},
	id.AddReferencesRequest_Encoding_DefaultBinary:                 {session: true, refused: true},
	id.DeleteNodesRequest_Encoding_DefaultBinary:                   {session: true, refused: true},
	id.DeleteReferencesRequest_Encoding_DefaultBinary:              {session: true, refused: true},
	id.QueryFirstRequest_Encoding_DefaultBinary:                    {session: true, refused: true},
	id.QueryNextRequest_Encoding_DefaultBinary:                     {session: true, refused: true},
	id.CreateSubscriptionRequest_Encoding_DefaultBinary:            {serve: (*query).subscribe, session: true},
	id.ModifySubscriptionRequest_Encoding_DefaultBinary:            {serve: (*query).subscribe, session: true},
	id.SetPublishingModeRequest_Encoding_DefaultBinary:             {serve: (*query).subscribe, session: true},
	id.DeleteSubscriptionsRequest_Encoding_DefaultBinary:           {serve: (*query).subscribe, session: true},
	id.TransferSubscriptionsRequest_Encoding_DefaultBinary:         {serve: (*query).subscribe, session: true},
	id.PublishRequest_Encoding_DefaultBinary:                       {serve: (*query).subscribe, session: true},
	id.RepublishRequest_Encoding_DefaultBinary:                     {serve: (*query).subscribe, session: true},
	id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:          {serve: (*query).subscribe, session: true},
	id.ModifyMonitoredItemsRequest_Encoding_DefaultBinary:          {serve: (*query).subscribe, session: true},
	id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary:          {serve: (*query).subscribe, session: true},
	id.SetMonitoringModeRequest_Encoding_DefaultBinary:             {serve: (*query).subscribe, session: true},
	id.SetTriggeringRequest_Encoding_DefaultBinary:                 {serve: (*query).subscribe, session: true},
}

// header is a good response's.
func (q *query) header() *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: q.s.cfg.Now(), RequestHandle: q.head.Handle, ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{},
		AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

// reply answers with a response of the library's types.
func (q *query) reply(resp any) {
	body, err := channel.Encode(resp)
	if err != nil {
		q.s.cfg.Log.Error("opcua server: a response cannot be encoded", "type", fmt.Sprintf("%T", resp), "error", err)
		q.fault(ua.StatusBadEncodingError)
		return
	}
	q.respond(body)
}

// respond queues the answer, and ends a connection whose client takes none.
func (q *query) respond(body []byte) {
	c := q.conn
	if q.session != nil && binary.LittleEndian.Uint16(body[2:]) == id.ServiceFault_Encoding_DefaultBinary {
		q.session.used[q.head.TypeID].failed.Add(1)
	}
	if c.tcp.Reserve(len(body)) != nil { // a notification can be had again with Republish
		body = channel.Fault(q.head.Handle, ua.StatusBadOutOfMemory, c.s.cfg.Now())
		_ = c.tcp.Reserve(len(body)) // what little each connection is guaranteed
	}
	q.queued(response{request: q.request, handle: q.head.Handle, body: body})
}

// queued lets a response wait for the goroutine that sends.
func (c *conn) queued(r response) {
	c.mu.Lock()
	full := len(c.queue) >= maxQueued
	if !full && !c.closed {
		c.queue = append(c.queue, r)
		c.bytes += len(r.body)
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

func (q *query) fault(code ua.StatusCode) {
	q.rejected(code)
	q.respond(channel.Fault(q.head.Handle, code, q.s.cfg.Now()))
}

// raw begins a response of a type that is written by hand.
func (q *query) raw(typeID uint32) []byte {
	return uabinary.AppendResponseHeader(nil, typeID, q.head.Handle, ua.StatusOK, q.s.cfg.Now())
}

// noDiagnostics ends a response whose last field is DiagnosticInfos.
func noDiagnostics(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

// send takes responses off the queue until the connection ends.
func (c *conn) send() {
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
				err = c.channel.Send(r.request, channel.Fault(r.handle, ua.StatusBadResponseTooLarge, c.s.cfg.Now()))
			}
			c.tcp.Release(len(r.body))
			c.mu.Lock()
			c.bytes -= len(r.body)
			c.mu.Unlock()
			c.room.Broadcast()
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
	c.room.Broadcast()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
