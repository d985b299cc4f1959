package client

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// fake is a server over pipes, so that it runs in a synctest bubble. It knows just
// enough to let a session begin; what a test scripts goes before.
type fake struct {
	t       *testing.T
	pipes   chan net.Conn
	l       *transport.Listener
	scripts sync.Map // request type uint32 → script
	counts  sync.Map // request type uint32 → *int

	mu      sync.Mutex
	ch      *channel.Channel
	publish []call // that wait for something to say
	acked   []acknowledgement
	state   int32
	left    uint32
	perRead uint32 // MaxNodesPerRead that it announces, 0: none
}

// script answers a request: the payload behind a good header, or a fault's code. nil
// and 0 answer nothing.
type script func(c call) (payload []byte, code ua.StatusCode)

type call struct {
	request uint32
	kind    uint32
	handle  uint32
	body    []byte // all of it
	rawvalue.Cursor
}

func (f *fake) Accept() (net.Conn, error) {
	c, ok := <-f.pipes
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (f *fake) Close() error   { close(f.pipes); return nil }
func (f *fake) Addr() net.Addr { return &net.TCPAddr{} }

func newFake(t *testing.T) *fake {
	t.Helper()
	return startFake(t, channel.ServerConfig{
		Identity: func() channel.Identity { return channel.Identity{} },
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
	})
}

func startFake(t *testing.T, cfg channel.ServerConfig) *fake {
	t.Helper()
	f := &fake{t: t, pipes: make(chan net.Conn)}
	var err error
	if f.l, err = transport.NewListener(f, transport.ListenConfig{}); err != nil {
		t.Fatal(err)
	}
	s, err := channel.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := f.l.Accept(context.Background())
			if err != nil {
				return
			}
			go f.serve(s, conn)
		}
	}()
	t.Cleanup(func() { f.l.Close() })
	return f
}

func (f *fake) config() Config {
	return Config{Endpoint: "opc.tcp://plc:4840", Policy: "None", Timeout: 4 * time.Second,
		Dialer: transport.Dialer{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				f.pipes <- theirs
				return ours, nil
			},
		}}
}

// connect makes a session that ends with the test.
func (f *fake) connect() *Session {
	f.t.Helper()
	s, err := Connect(f.t.Context(), f.config())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(s.Close)
	return s
}

func (f *fake) serve(s *channel.Server, conn *transport.Conn) {
	ch, err := s.Open(context.Background(), conn)
	if err != nil {
		return
	}
	defer ch.Close()
	f.mu.Lock()
	f.ch = ch
	f.mu.Unlock()
	calls := make(chan call, 1000) // answered one after the other, while more are received
	defer close(calls)
	go func() {
		for c := range calls {
			payload, code := f.answer(c)
			f.respond(ch, c, payload, code)
		}
	}()
	for {
		m, err := ch.Receive()
		if err != nil {
			return
		}
		head, rest, err := channel.PeekRequest(m.Body)
		if err != nil {
			f.t.Error(err)
			return
		}
		body := append([]byte(nil), m.Body...)
		calls <- call{m.RequestID, head.TypeID, head.Handle, body,
			rawvalue.NewCursor(body[len(body)-len(rest):], rawvalue.Limits{})}
	}
}

func (f *fake) respond(ch *channel.Channel, c call, payload []byte, code ua.StatusCode) {
	switch {
	case code != 0:
		_ = ch.Send(c.request, channel.Fault(c.handle, code, time.Now()))
	case payload != nil:
		_ = ch.Send(c.request, append(responseHead(c.kind+3, c.handle), payload...))
	}
}

// responseHead is a good response's header; a response's type follows its request's.
func responseHead(kind, handle uint32) []byte {
	b := channel.Fault(handle, ua.StatusOK, time.Now())
	binary.LittleEndian.PutUint16(b[2:], uint16(kind))
	return b
}

func (f *fake) on(kind uint32, s script) { f.scripts.Store(kind, s) }

func (f *fake) count(kind uint32) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, ok := f.counts.Load(kind); ok {
		return *n.(*int)
	}
	return 0
}

func (f *fake) answer(c call) ([]byte, ua.StatusCode) {
	f.mu.Lock()
	n, _ := f.counts.LoadOrStore(c.kind, new(int))
	*n.(*int)++
	f.mu.Unlock()
	if s, ok := f.scripts.Load(c.kind); ok {
		return s.(script)(c)
	}
	return f.normal(c)
}

// normal answers as an honest server of one namespace.
func (f *fake) normal(c call) ([]byte, ua.StatusCode) {
	switch c.kind {
	case id.GetEndpointsRequest_Encoding_DefaultBinary:
		return f.encode(&ua.GetEndpointsResponse{Endpoints: []*ua.EndpointDescription{{
			EndpointURL: "opc.tcp://plc:4840", SecurityPolicyURI: ua.SecurityPolicyURINone,
			SecurityMode: ua.MessageSecurityModeNone,
			Server: &ua.ApplicationDescription{ApplicationURI: "urn:plc",
				ApplicationName: ua.NewLocalizedText("plc")},
			UserIdentityTokens: []*ua.UserTokenPolicy{{PolicyID: "anyone",
				TokenType: ua.UserTokenTypeAnonymous}},
		}}}), 0
	case id.CreateSessionRequest_Encoding_DefaultBinary:
		return f.encode(&ua.CreateSessionResponse{
			SessionID: ua.NewNumericNodeID(1, 7), AuthenticationToken: ua.NewNumericNodeID(0, 99),
			RevisedSessionTimeout: 60000, ServerNonce: channel.Nonce(),
			ServerSignature: &ua.SignatureData{},
		}), 0
	case id.ActivateSessionRequest_Encoding_DefaultBinary:
		return f.encode(&ua.ActivateSessionResponse{ServerNonce: channel.Nonce()}), 0
	case id.CloseSessionRequest_Encoding_DefaultBinary:
		return []byte{}, 0
	case id.ReadRequest_Encoding_DefaultBinary:
		return f.read(readNodes(c)), 0
	case id.CreateSubscriptionRequest_Encoding_DefaultBinary:
		return f.encode(&ua.CreateSubscriptionResponse{SubscriptionID: 5, RevisedPublishingInterval: 100,
			RevisedLifetimeCount: 300, RevisedMaxKeepAliveCount: 10}), 0
	case id.DeleteSubscriptionsRequest_Encoding_DefaultBinary:
		return f.encode(&ua.DeleteSubscriptionsResponse{Results: []ua.StatusCode{0}}), 0
	case id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:
		return f.monitored(c, func(int) ua.StatusCode { return 0 }), 0
	case id.PublishRequest_Encoding_DefaultBinary:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.publish = append(f.publish, c)
		for range c.Length(8) {
			f.acked = append(f.acked, acknowledgement{c.Uint32(), c.Uint32()})
		}
		return nil, 0
	}
	return nil, ua.StatusBadServiceUnsupported
}

// encode encodes a response of the library and takes its header off again.
func (f *fake) encode(r ua.Response) []byte {
	r.SetHeader(&ua.ResponseHeader{Timestamp: time.Now(), ServiceDiagnostics: &ua.DiagnosticInfo{},
		StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil)})
	b, err := channel.Encode(r)
	if err != nil {
		f.t.Error(err)
		return nil
	}
	_, rest, err := channel.PeekResponse(b)
	if err != nil {
		f.t.Error(err)
	}
	return rest
}

func readNodes(c call) []rawvalue.NodeID {
	c.Skip(8 + 4)
	var nodes []rawvalue.NodeID
	for range c.Length(16) {
		n, _ := rawvalue.ParseNodeID(c.NodeID())
		nodes = append(nodes, n)
		c.Uint32()
		c.Bytes()
		c.QualifiedName()
	}
	return nodes
}

// read answers with the state for ns 0 and with the node's number, an Int32, for others.
func (f *fake) read(nodes []rawvalue.NodeID) []byte {
	b := appendUint32(nil, uint32(len(nodes)))
	for _, n := range nodes {
		b = append(b, f.value(n)...)
	}
	return appendUint32(b, nullLength)
}

func (f *fake) value(n rawvalue.NodeID) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n.Namespace != 0:
		return int32Value(int32(n.Number))
	case n.Number == id.Server_NamespaceArray:
		return appendBytes(appendUint32([]byte{1, 0x80 | byte(ua.TypeIDString)}, 1),
			[]byte("http://opcfoundation.org/UA/"))
	case n.Number == id.Server_ServerStatus_State:
		return int32Value(f.state)
	case n.Number == id.Server_ServerStatus_SecondsTillShutdown:
		return appendUint32([]byte{1, byte(ua.TypeIDUint32)}, f.left)
	}
	if n.Number == id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead && f.perRead > 0 {
		return appendUint32([]byte{1, byte(ua.TypeIDUint32)}, f.perRead)
	}
	return rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{})
}

func int32Value(v int32) []byte { return appendUint32([]byte{1, byte(ua.TypeIDInt32)}, uint32(v)) }

func (f *fake) monitored(c call, status func(i int) ua.StatusCode) []byte {
	c.Skip(8)
	n := c.Length(1)
	b := appendUint32(nil, uint32(n))
	for i := range n {
		b = appendUint32(appendUint32(b, uint32(status(i))), uint32(100+i))
		b = appendUint32(appendFloat64(b, 50), 7)
		b = append(b, 0, 0, 0)
	}
	return appendUint32(b, nullLength)
}

// say answers the oldest waiting Publish with a notification message.
func (f *fake) say(sequence uint32, notifications ...[]byte) {
	f.t.Helper()
	payload := append(appendUint32(appendUint32(nil, 5), 0), 0) // the subscription, nothing available, no more
	f.answerPublish(append(payload, notificationMessage(sequence, notifications...)...))
}

func (f *fake) answerPublish(payload []byte) {
	f.t.Helper()
	synctest.Wait()
	f.mu.Lock()
	if len(f.publish) == 0 {
		f.mu.Unlock()
		f.t.Fatal("got no Publish to answer, want one")
	}
	c, ch := f.publish[0], f.ch
	f.publish = f.publish[1:]
	f.mu.Unlock()
	f.respond(ch, c, payload, 0)
	synctest.Wait()
}

func notificationMessage(sequence uint32, notifications ...[]byte) []byte {
	b := uabinary.AppendDateTime(appendUint32(nil, sequence), time.Now())
	b = appendUint32(b, uint32(len(notifications)))
	for _, n := range notifications {
		b = append(b, n...)
	}
	return append(appendUint32(b, nullLength), 0xff, 0xff, 0xff, 0xff) // results, diagnostics
}

type valueOf struct {
	handle uint32
	raw    []byte
}

func dataChange(values ...valueOf) []byte {
	b := appendUint32(nil, uint32(len(values)))
	for _, v := range values {
		b = append(appendUint32(b, v.handle), v.raw...)
	}
	return extension(id.DataChangeNotification_Encoding_DefaultBinary, appendUint32(b, nullLength))
}

type eventOf struct {
	handle uint32
	fields [][]byte
}

func eventList(events ...eventOf) []byte {
	b := appendUint32(nil, uint32(len(events)))
	for _, e := range events {
		b = appendUint32(appendUint32(b, e.handle), uint32(len(e.fields)))
		for _, v := range e.fields {
			b = append(b, v...)
		}
	}
	return extension(id.EventNotificationList_Encoding_DefaultBinary, b)
}
