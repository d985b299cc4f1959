package opcua

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
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
	"heliograph/firmware/opcua/servertest"
	"heliograph/firmware/opcua/uabinary"
)

// plc is a server over pipes, so that it runs in a synctest bubble. Its address
// space is a fake's; its quirks are switches.
type plc struct {
	*fake
	*servertest.Server
	t *testing.T

	mu       sync.Mutex
	values   map[rawvalue.NodeID][]byte // DataValues
	subs     map[uint32]*plcSubscription
	waiting  []request      // Publish
	sessions int            // that stand
	made     int            // sessions ever
	last     uint32         // subscription
	items    map[uint32]int // CreateMonitoredItems by their number of items
	reads    int            // attributes read

	// Quirks.
	delay       map[uint32]func(items int) time.Duration // before a service is done
	mute        map[rawvalue.NodeID]bool                 // items of these nodes send nothing
	clauses     int                                      // select clauses in a filter, 0: no limit
	dropNext    int                                      // notifications that are lost, and cannot be had again
	badValue    bool                                     // the next value cannot be decoded
	badData     bool                                     // the next notification cannot be decoded
	endless     bool                                     // every node has references to new nodes
	continues   rawvalue.NodeID                          // continues for ever, with one reference each time
	stampsReads bool                                     // a value has the time of the Read as its source timestamp
	created     int
	namespaces  []string         // besides that of OPC UA
	most        int              // bytes that the address space may take
	clock       func() time.Time // what the server's CurrentTime is
	overflows   bool             // a queue drops the beginning of each refresh
	inProgress  int              // ConditionRefresh that are refused as one is in progress
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

type request = servertest.Request

func newPLC(t *testing.T, f *fake) *plc {
	t.Helper()
	p := &plc{
		fake: f, t: t, values: map[rawvalue.NodeID][]byte{}, subs: map[uint32]*plcSubscription{},
		items: map[uint32]int{}, delay: map[uint32]func(int) time.Duration{}, mute: map[rawvalue.NodeID]bool{},
	}
	p.Server = servertest.New(t, servertest.Config{Closed: p.forget, Delay: p.delayOf})
	open, end := p.Script(id.CreateSessionRequest_Encoding_DefaultBinary),
		p.Script(id.CloseSessionRequest_Encoding_DefaultBinary)
	for kind, script := range map[uint32]func(*request) ([]byte, ua.StatusCode){
		id.CreateSessionRequest_Encoding_DefaultBinary: func(r *request) ([]byte, ua.StatusCode) {
			p.sessions++
			p.made++
			return open(*r)
		},
		id.CloseSessionRequest_Encoding_DefaultBinary: func(r *request) ([]byte, ua.StatusCode) {
			p.sessions--
			return end(*r)
		},
		id.ReadRequest_Encoding_DefaultBinary:                 p.readAll,
		id.BrowseRequest_Encoding_DefaultBinary:               p.browse,
		id.BrowseNextRequest_Encoding_DefaultBinary:           p.browseNext,
		id.CreateMonitoredItemsRequest_Encoding_DefaultBinary: p.monitor,
		id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary: p.unmonitor,
		id.PublishRequest_Encoding_DefaultBinary: func(r *request) ([]byte, ua.StatusCode) {
			p.waiting = append(p.waiting, *r)
			return nil, 0
		},
		id.RepublishRequest_Encoding_DefaultBinary: func(*request) ([]byte, ua.StatusCode) {
			return nil, ua.StatusBadMessageNotAvailable
		},
	} {
		p.On(kind, func(r request) ([]byte, ua.StatusCode) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return script(&r)
		})
	}
	p.Subscriptions(20, func(r request) uint32 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last++
		p.subs[p.last] = &plcSubscription{id: p.last, items: map[uint32]plcItem{}, said: time.Now(),
			session: r.Channel}
		return p.last
	})
	go p.keepAlive(p.Context())
	return p
}

// delayOf is how long a request waits before it is answered.
func (p *plc) delayOf(r request) time.Duration {
	p.mu.Lock()
	delay := p.delay[r.Kind]
	p.mu.Unlock()
	if delay == nil {
		return 0
	}
	return delay(servertest.Operations(r))
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
	s.dialer = p.Dialer()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	p.t.Cleanup(func() { cancel(); <-ended })
	return s
}

func (p *plc) forget(ch *channel.Channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.subs, func(_ uint32, s *plcSubscription) bool { return s.session == ch })
	p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool { return r.Channel == ch })
}

func u32(b []byte, v uint32) []byte { return servertest.AppendUint32(b, v) }

func (p *plc) readAll(r *request) ([]byte, ua.StatusCode) {
	items := servertest.ReadItems(*r)
	p.reads += len(items)
	b := u32(nil, uint32(len(items)))
	for _, it := range items {
		b = append(b, p.attribute(it.Node, it.Attribute)...)
	}
	return u32(b, servertest.Null), 0
}

func (p *plc) attribute(node rawvalue.NodeID, attribute ua.AttributeID) []byte {
	if node == ns0(id.Server_NamespaceArray) {
		return servertest.Texts(append([]string{"http://opcfoundation.org/UA/"}, p.namespaces...)...)
	}
	if node == ns0(id.Server_ServerStatus_CurrentTime) && attribute == ua.AttributeIDValue && p.clock != nil {
		return encoded(p.clock())
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

func (p *plc) browse(r *request) ([]byte, ua.StatusCode) {
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
		b = u32(u32(b, 0), servertest.Null) // good, no continuation point
		b = u32(b, uint32(len(known.References)))
		for _, ref := range known.References {
			b = ref.Type.AppendTo(b)
			if ref.Inverse {
				b = append(b, 0)
			} else {
				b = append(b, 1)
			}
			b = ref.Target.AppendTo(b)
			b = append(u32(append(b, 0, 0), servertest.Null), 0, 0, 0, 0, 0, 0, 0)
		}
	}
	return u32(b, servertest.Null), 0
}

// browseNext answers with one reference and another continuation point.
func (p *plc) browseNext(r *request) ([]byte, ua.StatusCode) {
	release := r.Byte() != 0
	n := r.Length(4)
	b := u32(nil, uint32(n))
	for range n {
		if b = u32(b, 0); release {
			b = u32(u32(b, servertest.Null), servertest.Null)
			continue
		}
		p.created++
		b = append(u32(b, 1), 7)
		b = append(ns0(id.Organizes).AppendTo(u32(b, 1)), 1)
		b = named(fmt.Sprintf("n%d", p.created)).AppendTo(b)
		b = append(u32(append(b, 0, 0), servertest.Null), 0, 0, 0, 0, 0, 0, 0)
	}
	return u32(b, servertest.Null), 0
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
