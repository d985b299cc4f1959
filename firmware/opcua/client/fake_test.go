package client

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
	"heliograph/firmware/opcua/uabinary"
)

// fake is a server of one namespace, with one subscription whose messages the test
// sends.
type fake struct {
	*servertest.Server
	t        *testing.T
	defaults map[uint32]servertest.Script

	mu      sync.Mutex
	ch      *channel.Channel
	publish []call // that wait for a message
	acked   []acknowledgement
	state   int32
	left    uint32
	perRead uint32 // MaxNodesPerRead that it announces, 0: none
}

type call = servertest.Request

func newFake(t *testing.T) *fake {
	t.Helper()
	return startFake(t, nil)
}

// startFake starts a server with policy None, or with what cfg has.
func startFake(t *testing.T, cfg *channel.ServerConfig) *fake {
	t.Helper()
	f := &fake{t: t, defaults: map[uint32]servertest.Script{}}
	f.Server = servertest.New(t, servertest.Config{Channel: cfg, Opened: func(ch *channel.Channel) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ch = ch
	}})
	f.Subscriptions(10, func(call) uint32 { return 5 })
	f.On(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
		return f.read(readNodes(c)), 0
	})
	f.On(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
		return f.monitored(c, func(int) ua.StatusCode { return 0 }), 0
	})
	f.On(id.PublishRequest_Encoding_DefaultBinary, f.holdPublish)
	return f
}

func (f *fake) config() Config {
	return Config{
		Endpoint: servertest.Endpoint, Policy: "None", Timeout: 4 * time.Second, Dialer: f.Dialer(),
	}
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

// on replaces what answers requests of a kind; normal is what answered them before.
func (f *fake) on(kind uint32, script servertest.Script) {
	if f.defaults[kind] == nil {
		f.defaults[kind] = f.Script(kind)
	}
	f.On(kind, script)
}

func (f *fake) normal(c call) ([]byte, ua.StatusCode) { return f.defaults[c.Kind](c) }

func (f *fake) holdPublish(c call) ([]byte, ua.StatusCode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.publish = append(f.publish, c)
	for range c.Length(8) {
		f.acked = append(f.acked, acknowledgement{c.Uint32(), c.Uint32()})
	}
	return nil, 0
}

func readNodes(c call) (nodes []rawvalue.NodeID) {
	for _, it := range servertest.ReadItems(c) {
		nodes = append(nodes, it.Node)
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
		return servertest.Int32(int32(n.Number))
	case n.Number == id.Server_NamespaceArray:
		return servertest.Texts("http://opcfoundation.org/UA/")
	case n.Number == id.Server_ServerStatus_State:
		return servertest.Int32(f.state)
	case n.Number == id.Server_ServerStatus_SecondsTillShutdown:
		return servertest.Uint32(f.left)
	}
	if n.Number == id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead && f.perRead > 0 {
		return servertest.Uint32(f.perRead)
	}
	return rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{})
}

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
	c := f.publish[0]
	f.publish = f.publish[1:]
	f.mu.Unlock()
	f.Respond(c, payload, 0)
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
