package opcua

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// plc is a server over pipes, so that it runs in a synctest bubble. Its address
// space is a fake's; its quirks are switches.
type plc struct {
	*fake
	t     *testing.T
	pipes chan net.Conn

	mu       sync.Mutex
	values   map[rawvalue.NodeID][]byte // DataValues
	subs     map[uint32]*plcSubscription
	waiting  []request // Publish
	sessions int       // that stand
	made     int       // sessions ever
	last     uint32    // subscription
	counts   map[uint32]int
	items    map[uint32]int // CreateMonitoredItems by their number of items
	reads    int            // attributes read

	// Quirks.
	delay       map[uint32]func(items int) time.Duration // before a service is done
	mute        map[rawvalue.NodeID]bool                 // items of these nodes send nothing
	clauses     int                                      // select clauses in a filter, 0: no limit
	dropNext    int                                      // notifications that are lost, and cannot be had again
	badData     bool                                     // the next notification cannot be decoded
	endless     bool                                     // every node has references to new nodes
	continues   rawvalue.NodeID                          // continues for ever, with one reference each time
	stampsReads bool                                     // a value has the time of the Read as its source timestamp
	created     int
	namespaces  []string // besides that of OPC UA
	most        int      // bytes that the address space may take
}

type plcSubscription struct {
	id       uint32
	sequence uint32
	items    map[uint32]plcItem // by client handle
	said     time.Time
	session  *channel.Channel
}

type plcItem struct {
	node      rawvalue.NodeID
	attribute uint32
	fields    []string // of events: the last name of each path
}

type request struct {
	ch     *channel.Channel
	id     uint32
	kind   uint32
	handle uint32
	rawvalue.Cursor
}

func (p *plc) Accept() (net.Conn, error) {
	c, ok := <-p.pipes
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *plc) Close() error   { close(p.pipes); return nil }
func (p *plc) Addr() net.Addr { return &net.TCPAddr{} }

func newPLC(t *testing.T, f *fake) *plc {
	t.Helper()
	p := &plc{
		fake: f, t: t, pipes: make(chan net.Conn), values: map[rawvalue.NodeID][]byte{},
		subs:   map[uint32]*plcSubscription{},
		counts: map[uint32]int{}, items: map[uint32]int{}, delay: map[uint32]func(int) time.Duration{},
		mute: map[rawvalue.NodeID]bool{},
	}
	l, err := transport.NewListener(p, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := channel.NewServer(channel.ServerConfig{
		Identity: func() channel.Identity { return channel.Identity{} },
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			go p.serve(ctx, s, conn)
		}
	}()
	go p.keepAlive(ctx)
	t.Cleanup(func() { cancel(); l.Close() })
	return p
}

// mirrored runs a source of the plc until the test ends.
func (p *plc) mirrored(link *port) *Source {
	p.t.Helper()
	cfg := config.OPCUASource{
		Channel: "plant", Endpoint: "opc.tcp://plc:4840", SecurityPolicy: "None", SecurityMode: "None",
		AddressSpace: int64(cmp.Or(p.most, 48<<20)), PublishingInterval: 100 * time.Millisecond,
		Rebrowse: 10 * time.Minute,
	}
	s, err := New(cfg, p.t.TempDir(), nil, link, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	s.dialer = transport.Dialer{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.pipes <- theirs
		return ours, nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	p.t.Cleanup(func() { cancel(); <-ended })
	return s
}

func (p *plc) serve(ctx context.Context, s *channel.Server, conn *transport.Conn) {
	ch, err := s.Open(context.Background(), conn)
	if err != nil {
		return
	}
	defer ch.Close()
	defer p.forget(ch)
	for {
		m, err := ch.Receive()
		if err != nil {
			return
		}
		head, rest, err := channel.PeekRequest(m.Body)
		if err != nil {
			p.t.Error(err)
			return
		}
		r := request{ch, m.RequestID, head.TypeID, head.Handle,
			rawvalue.NewCursor(bytes.Clone(rest), rawvalue.Limits{})}
		go func() {
			p.mu.Lock()
			delay := p.delay[r.kind]
			p.mu.Unlock()
			if delay != nil {
				select {
				case <-time.After(delay(operations(r))):
				case <-ctx.Done():
					return
				}
			}
			body, code := p.answer(&r)
			p.respond(r, body, code)
		}()
	}
}

// operations is how many operations a request has, as far as its delay depends on it.
func operations(r request) int {
	switch r.kind {
	case id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:
		r.Skip(8)
		return r.Length(1)
	case id.ReadRequest_Encoding_DefaultBinary:
		r.Skip(12)
		return r.Length(1)
	case id.BrowseRequest_Encoding_DefaultBinary:
		r.Skip(2 + 12 + 4)
		return r.Length(1)
	}
	return 1
}

func (p *plc) forget(ch *channel.Channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.subs, func(_ uint32, s *plcSubscription) bool { return s.session == ch })
	p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool { return r.ch == ch })
}

func (p *plc) respond(r request, body []byte, code ua.StatusCode) {
	switch {
	case code != 0:
		_ = r.ch.Send(r.id, channel.Fault(r.handle, code, time.Now()))
	case body != nil:
		b := channel.Fault(r.handle, ua.StatusOK, time.Now())
		binary.LittleEndian.PutUint16(b[2:], uint16(r.kind+3)) // a response's type follows its request's
		_ = r.ch.Send(r.id, append(b, body...))
	}
}

func u32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func text(b []byte, s string) []byte {
	return append(u32(b, uint32(len(s))), s...)
}
func extension(kind uint32, body []byte) []byte {
	b := append(ns0(kind).AppendTo(nil), 1)
	return append(u32(b, uint32(len(body))), body...)
}

const null = math.MaxUint32

func (p *plc) encode(r ua.Response) []byte {
	r.SetHeader(&ua.ResponseHeader{Timestamp: time.Now(), ServiceDiagnostics: &ua.DiagnosticInfo{},
		StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil)})
	b, err := channel.Encode(r)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	_, rest, err := channel.PeekResponse(b)
	if err != nil {
		p.t.Error(err)
	}
	return rest
}

func (p *plc) answer(r *request) ([]byte, ua.StatusCode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[r.kind]++
	switch r.kind {
	case id.GetEndpointsRequest_Encoding_DefaultBinary:
		return p.encode(&ua.GetEndpointsResponse{Endpoints: []*ua.EndpointDescription{{
			EndpointURL: "opc.tcp://plc:4840", SecurityPolicyURI: ua.SecurityPolicyURINone,
			SecurityMode: ua.MessageSecurityModeNone,
			Server: &ua.ApplicationDescription{ApplicationURI: "urn:plc",
				ApplicationName: ua.NewLocalizedText("plc")},
			UserIdentityTokens: []*ua.UserTokenPolicy{{PolicyID: "anyone",
				TokenType: ua.UserTokenTypeAnonymous}},
		}}}), 0
	case id.CreateSessionRequest_Encoding_DefaultBinary:
		p.sessions++
		p.made++
		return p.encode(&ua.CreateSessionResponse{
			SessionID: ua.NewNumericNodeID(1, 7), AuthenticationToken: ua.NewNumericNodeID(0, 99),
			RevisedSessionTimeout: 60000, ServerNonce: channel.Nonce(),
			ServerSignature: &ua.SignatureData{},
		}), 0
	case id.ActivateSessionRequest_Encoding_DefaultBinary:
		return p.encode(&ua.ActivateSessionResponse{ServerNonce: channel.Nonce()}), 0
	case id.CloseSessionRequest_Encoding_DefaultBinary:
		p.sessions--
		return []byte{}, 0
	case id.ReadRequest_Encoding_DefaultBinary:
		return p.readAll(r), 0
	case id.BrowseRequest_Encoding_DefaultBinary:
		return p.browse(r), 0
	case id.BrowseNextRequest_Encoding_DefaultBinary:
		return p.browseNext(r)
	case id.CreateSubscriptionRequest_Encoding_DefaultBinary:
		p.last++
		p.subs[p.last] = &plcSubscription{id: p.last, items: map[uint32]plcItem{}, said: time.Now(),
			session: r.ch}
		return p.encode(&ua.CreateSubscriptionResponse{SubscriptionID: p.last, RevisedPublishingInterval: 100,
			RevisedLifetimeCount: 300, RevisedMaxKeepAliveCount: 20}), 0
	case id.DeleteSubscriptionsRequest_Encoding_DefaultBinary:
		return p.encode(&ua.DeleteSubscriptionsResponse{Results: []ua.StatusCode{0}}), 0
	case id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:
		return p.monitor(r)
	case id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary:
		r.Skip(4)
		n := r.Length(4)
		b := u32(nil, uint32(n))
		return u32(append(b, make([]byte, 4*n)...), null), 0
	case id.PublishRequest_Encoding_DefaultBinary:
		p.waiting = append(p.waiting, *r)
		return nil, 0
	case id.RepublishRequest_Encoding_DefaultBinary:
		return nil, ua.StatusBadMessageNotAvailable
	}
	return nil, ua.StatusBadServiceUnsupported
}

func (p *plc) readAll(r *request) []byte {
	r.Skip(8 + 4)
	n := r.Length(16)
	p.reads += n
	b := u32(nil, uint32(n))
	for range n {
		node, _ := rawvalue.ParseNodeID(r.NodeID())
		attribute := ua.AttributeID(r.Uint32())
		r.Bytes()
		r.QualifiedName()
		b = append(b, p.attribute(node, attribute)...)
	}
	return u32(b, null)
}

func (p *plc) attribute(node rawvalue.NodeID, attribute ua.AttributeID) []byte {
	if node == ns0(id.Server_NamespaceArray) {
		b := u32([]byte{1, 0x80 | byte(ua.TypeIDString)}, uint32(1+len(p.namespaces)))
		for _, uri := range append([]string{"http://opcfoundation.org/UA/"}, p.namespaces...) {
			b = text(b, uri)
		}
		return b
	}
	n, ok := p.nodes[node]
	if !ok && p.created > 0 && node.Namespace == 1 {
		switch attribute {
		case ua.AttributeIDNodeClass:
			return encoded(int32(ua.NodeClassObject))
		case ua.AttributeIDBrowseName:
			return encoded(&ua.QualifiedName{NamespaceIndex: 1, Name: node.Text})
		}
		return rawvalue.AppendStatus(nil, ua.StatusBadAttributeIDInvalid, rawvalue.Answer{})
	}
	if v, has := p.values[node]; has && attribute == ua.AttributeIDValue && ok {
		if v[0]&ua.DataValueSourceTimestamp != 0 && p.stampsReads {
			v = binary.LittleEndian.AppendUint64(slices.Clone(v[:len(v)-8]),
				uint64(uabinary.Ticks(time.Now())))
		}
		return v
	}
	if !ok {
		return rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{})
	}
	for _, a := range n.Attributes {
		if a.ID == attribute {
			return a.Value
		}
	}
	return rawvalue.AppendStatus(nil, ua.StatusBadAttributeIDInvalid, rawvalue.Answer{})
}

func (p *plc) browse(r *request) []byte {
	r.Skip(2 + 12 + 4)
	n := r.Length(1)
	b := u32(nil, uint32(n))
	for range n {
		node, _ := rawvalue.ParseNodeID(r.NodeID())
		r.Skip(4 + 2 + 1 + 4 + 4)
		known, ok := p.nodes[node]
		switch {
		case p.endless:
			known = &addrspace.Node{}
			for range 100 {
				p.created++
				known.References = append(known.References,
					addrspace.Reference{Type: ns0(id.Organizes),
						Target: named(fmt.Sprintf("a node with a rather long name, number %d",
							p.created))})
			}
		case p.continues == node && node.Text != "":
			b = u32(append(u32(u32(b, 0), 1), 7), 0) // good, a point of one byte, no reference yet
			continue
		case !ok:
			b = append(u32(b, uint32(ua.StatusBadNodeIDUnknown)), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff)
			continue
		case p.fail[node] != 0:
			b = append(u32(b, uint32(p.fail[node])), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = u32(u32(b, 0), null) // good, no continuation point
		b = u32(b, uint32(len(known.References)))
		for _, ref := range known.References {
			b = ref.Type.AppendTo(b)
			if ref.Inverse {
				b = append(b, 0)
			} else {
				b = append(b, 1)
			}
			b = ref.Target.AppendTo(b)
			b = append(u32(append(b, 0, 0), null), 0, 0, 0, 0, 0, 0, 0)
		}
	}
	return u32(b, null)
}

// browseNext answers with one reference and another continuation point.
func (p *plc) browseNext(r *request) ([]byte, ua.StatusCode) {
	release := r.Byte() != 0
	n := r.Length(4)
	b := u32(nil, uint32(n))
	for range n {
		if b = u32(b, 0); release {
			b = u32(u32(b, null), null)
			continue
		}
		p.created++
		b = append(u32(b, 1), 7)
		b = append(ns0(id.Organizes).AppendTo(u32(b, 1)), 1)
		b = named(fmt.Sprintf("n%d", p.created)).AppendTo(b)
		b = append(u32(append(b, 0, 0), null), 0, 0, 0, 0, 0, 0, 0)
	}
	return u32(b, null), 0
}

// quirk sets switches.
func (p *plc) quirk(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// int32At is a DataValue with a source timestamp.
func int32At(n int32, at time.Time) []byte {
	b := u32([]byte{ua.DataValueValue | ua.DataValueSourceTimestamp, byte(ua.TypeIDInt32)}, uint32(n))
	return uabinary.AppendDateTime(b, at)
}

// bytesAt is a DataValue with a ByteString of some size.
func bytesAt(size int, at time.Time) []byte {
	b := u32([]byte{ua.DataValueValue | ua.DataValueSourceTimestamp, byte(ua.TypeIDByteString)}, uint32(size))
	return uabinary.AppendDateTime(append(b, make([]byte, size)...), at)
}

// valueOf returns the newest value of a node that the link has.
func (s *Source) valueOf(link *port, node rawvalue.NodeID) (v rawvalue.DataValue, past []ua.StatusCode) {
	link.mu.Lock()
	defer link.mu.Unlock()
	key := string(payload.Key{Kind: payload.Value, Generation: s.model.Generation,
		Number: s.model.handles[node]}.Append(nil))
	if link.state[key] == nil {
		return v, nil
	}
	return link.skim(key), link.past[key]
}

// follows runs a test of a source that has its initial snapshot of the plant.
func follows(t *testing.T, f *fake, quirks func(p *plc, link *port),
	test func(t *testing.T, p *plc, link *port, s *Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, link := newPLC(t, f), &port{}
		for node, n := range f.nodes {
			if class(n) == ua.NodeClassVariable {
				p.values[node] = int32At(1, time.Now())
			}
		}
		if quirks != nil {
			quirks(p, link)
		}
		s := p.mirrored(link)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		test(t, p, link, s)
	})
}
