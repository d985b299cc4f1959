package subscription

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
)

func tag(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Namespace: 1, Number: n} }
func num(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

// rig is an engine with variables, and a clock that stands until it is moved.
type rig struct {
	t      testing.TB
	e      *Engine
	at     time.Time
	mu     sync.Mutex
	values map[rawvalue.NodeID][]byte
	still  map[rawvalue.NodeID]bool // variables that are sampled
	ranges map[rawvalue.NodeID]rawvalue.Variant
	locked map[rawvalue.NodeID]bool // for encrypted channels alone
	during func()                   // is called once, when a value was read and is not returned yet
	handle uint32
	reads  int // values and attributes that the engine has read
}

func newRig(t testing.TB, lim Limits) *rig {
	r := &rig{
		t: t, at: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), values: map[rawvalue.NodeID][]byte{},
		still:  map[rawvalue.NodeID]bool{},
		ranges: map[rawvalue.NodeID]rawvalue.Variant{}, locked: map[rawvalue.NodeID]bool{},
	}
	r.e = New(Config{Nodes: r, Space: types(t), Limits: lim, Now: func() time.Time { return r.at }})
	return r
}

func (r *rig) AppendAttribute(dst []byte, c *Client, node rawvalue.NodeID, a ua.AttributeID) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, ok := r.values[node]
	r.reads++
	switch {
	case node == num(id.Server) && a == ua.AttributeIDEventNotifier:
		return append(dst, 1, byte(ua.TypeIDByte), 1)
	case !ok:
		return rawvalue.AppendStatus(dst, ua.StatusBadNodeIDUnknown, rawvalue.Answer{})
	case a == ua.AttributeIDNodeClass:
		// with a source timestamp, which attributes do not report
		return append(dst, 5, byte(ua.TypeIDInt32), 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	case a != ua.AttributeIDValue:
		return rawvalue.AppendStatus(dst, ua.StatusBadAttributeIDInvalid, rawvalue.Answer{})
	case r.locked[node] && !c.Encrypted:
		return rawvalue.AppendStatus(dst, ua.StatusBadSecurityModeInsufficient, rawvalue.Answer{})
	}
	return append(dst, raw...)
}

func (r *rig) EURange(node rawvalue.NodeID) rawvalue.Variant { return r.ranges[node] }

func (r *rig) Shared(c *Client, node rawvalue.NodeID) []byte {
	r.mu.Lock()
	raw, during := r.values[node], r.during
	r.reads++
	if r.locked[node] && !c.Encrypted {
		raw = nil
	}
	r.during = nil
	r.mu.Unlock()
	if during != nil {
		during()
	}
	return raw
}

func (r *rig) Pushed(node rawvalue.NodeID, a ua.AttributeID) bool {
	return a == ua.AttributeIDValue && !r.still[node]
}

// dataValue makes a raw DataValue with a value and a status.
func dataValue(t testing.TB, x any, code ua.StatusCode) []byte {
	t.Helper()
	raw, err := ua.MustVariant(x).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b := append([]byte{1}, raw...)
	if code != ua.StatusOK {
		b[0] |= 2
		b = binary.LittleEndian.AppendUint32(b, uint32(code))
	}
	return b
}

// put stores a value, set also says that it changed.
func (r *rig) put(node rawvalue.NodeID, x any) []byte {
	dv := dataValue(r.t, x, ua.StatusOK)
	r.mu.Lock()
	r.values[node] = dv
	r.mu.Unlock()
	return dv
}

func (r *rig) set(node rawvalue.NodeID, x any) { r.e.Changed(node, r.put(node, x)) }

// pass lets time pass in steps of the engine's tick.
func (r *rig) pass(d time.Duration) {
	for end := r.at.Add(d); r.at.Before(end); {
		r.at = r.at.Add(min(tick, end.Sub(r.at)))
		r.e.Advance(r.at)
	}
}

var alice = &Client{Session: 1, User: "alice", Encrypted: true, Signed: true}

// ask sends a request that is answered at once.
func (r *rig) ask(c *Client, req ua.Request) any {
	r.t.Helper()
	a := r.send(c, req)
	if len(*a) != 1 {
		r.t.Fatalf("%T: got %d answers, want 1", req, len(*a))
	}
	return (*a)[0]
}

// send returns where the answers will be.
func (r *rig) send(c *Client, req ua.Request) *[]any {
	r.handle++
	if req.Header() == nil {
		req.SetHeader(&ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0)})
	}
	req.Header().RequestHandle = r.handle
	want, got := r.handle, &[]any{}
	r.e.Serve(c, req, func(body []byte) {
		v, err := channel.Decode(body)
		if err != nil {
			r.t.Errorf("%T: the answer cannot be read: %v\n% x", req, err, body)
			v = err
		} else if h := v.(ua.Response).Header().RequestHandle; h != want {
			r.t.Errorf("%T: got handle %d, want %d", req, h, want)
		}
		*got = append(*got, v)
	})
	return got
}

// call calls a method with UInt32s.
func (r *rig) call(c *Client, n uint32, args ...uint32) *ua.CallMethodResult {
	r.t.Helper()
	m := &ua.CallMethodRequest{ObjectID: ua.NewNumericNodeID(0, id.Server), MethodID: ua.NewNumericNodeID(0, n)}
	for _, a := range args {
		m.InputArguments = append(m.InputArguments, ua.MustVariant(a))
	}
	got, ours := r.e.Method(c, m)
	if !ours {
		r.t.Fatalf("method %d is none of ours", n)
	}
	return got
}

func code(v any) ua.StatusCode {
	if r, ok := v.(ua.Response); ok {
		return r.Header().ServiceResult
	}
	return ua.StatusBad
}

// subscribe makes a subscription with an interval of 100 ms, 3 cycles to a keep-alive, 9 to its end.
func (r *rig) subscribe(c *Client, change func(*ua.CreateSubscriptionRequest)) uint32 {
	r.t.Helper()
	req := &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 100, RequestedMaxKeepAliveCount: 3,
		RequestedLifetimeCount: 9, PublishingEnabled: true}
	if change != nil {
		change(req)
	}
	resp, ok := r.ask(c, req).(*ua.CreateSubscriptionResponse)
	if !ok {
		r.t.Fatal("no subscription")
	}
	return resp.SubscriptionID
}

func watch(node rawvalue.NodeID, handle uint32,
	change func(*ua.MonitoredItemCreateRequest)) *ua.MonitoredItemCreateRequest {
	m := &ua.MonitoredItemCreateRequest{
		ItemToMonitor: &ua.ReadValueID{NodeID: node.UA(), AttributeID: ua.AttributeIDValue,
			DataEncoding: &ua.QualifiedName{}}, MonitoringMode: ua.MonitoringModeReporting,
		RequestedParameters: &ua.MonitoringParameters{ClientHandle: handle, QueueSize: 10, DiscardOldest: true,
			Filter: ua.NewExtensionObject(nil)},
	}
	if change != nil {
		change(m)
	}
	return m
}

func (r *rig) monitor(c *Client, sub uint32, items ...*ua.MonitoredItemCreateRequest) []*ua.MonitoredItemCreateResult {
	r.t.Helper()
	resp, ok := r.ask(c,
		&ua.CreateMonitoredItemsRequest{SubscriptionID: sub, TimestampsToReturn: ua.TimestampsToReturnNeither,
			ItemsToCreate: items}).(*ua.CreateMonitoredItemsResponse)
	if !ok {
		r.t.Fatal("no monitored items")
	}
	return resp.Results
}

func (r *rig) publish(c *Client, acks ...*ua.SubscriptionAcknowledgement) *[]any {
	return r.send(c, &ua.PublishRequest{SubscriptionAcknowledgements: acks})
}

// notifications describes what messages contain.
func notifications(answers ...*[]any) string {
	var out []string
	for _, a := range answers {
		for _, v := range *a {
			p, ok := v.(*ua.PublishResponse)
			if !ok {
				out = append(out, fmt.Sprint(code(v)))
				continue
			}
			out = append(out, fmt.Sprintf("#%d", p.NotificationMessage.SequenceNumber))
			for _, d := range p.NotificationMessage.NotificationData {
				out = append(out, notification(d.Value)...)
			}
			if p.MoreNotifications {
				out = append(out, "more")
			}
		}
	}
	return strings.Join(out, " ")
}

func notification(v any) (out []string) {
	switch n := v.(type) {
	case *ua.DataChangeNotification:
		for _, m := range n.MonitoredItems {
			var value any
			if m.Value.Value != nil {
				value = m.Value.Value.Value()
			}
			s := fmt.Sprintf("%d=%v", m.ClientHandle, value)
			if m.Value.Status != ua.StatusOK {
				s += fmt.Sprintf("/%08x", uint32(m.Value.Status))
			}
			out = append(out, s)
		}
	case *ua.EventNotificationList:
		for _, ev := range n.Events {
			s := fmt.Sprintf("%d:", ev.ClientHandle)
			for _, f := range ev.EventFields {
				if f.NodeID() != nil {
					s += fmt.Sprint("i", f.NodeID().IntID())
				} else {
					s += fmt.Sprintf("%v", f.Value())
				}
				s += ","
			}
			out = append(out, s)
		}
	case *ua.StatusChangeNotification:
		out = append(out, fmt.Sprintf("status/%08x", uint32(n.Status)))
	}
	return out
}

const ms = time.Millisecond

// delivery is what messages bring, in words, when run has done what it does to a
// subscription of alice's. The variables 1 and 2 have their numbers as values.
type delivery struct {
	name string
	run  func(r *rig, sub uint32) string
	want string
}

func deliver(t *testing.T, list []delivery) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			r.put(tag(2), int32(2))
			if got := c.run(r, r.subscribe(alice, nil)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func head() *ua.RequestHeader {
	return &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0), AdditionalHeader: ua.NewExtensionObject(nil)}
}
