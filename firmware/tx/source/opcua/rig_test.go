package opcua

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// port is a link that remembers the newest state, and refuses as the link does.
type port struct {
	mu        sync.Mutex
	state     map[string][]byte
	times     map[string]time.Time
	events    [][]byte
	ended     [][]byte // events that delete the state of a condition
	puts      int
	conflated uint64
	missed    map[string]uint64
	refuse    error
	most      int                        // bytes of a record, 0: no limit
	keys      int                        // that it has room for, 0: no limit
	past      map[string][]ua.StatusCode // of values, by key
	reported  source.State
	reason    string
	states    []source.State
	complete  bool
	late      []source.Update
	newest    []time.Time // by late: of the key, when it came
	left      int         // records that had a Left
	hold      bool        // nothing leaves
	before    func()      // is called once, before the next Put
}

func (p *port) Put(u source.Update) error {
	if before := p.before; before != nil {
		p.before = nil
		before()
	}
	err := p.put(u)
	if u.Left != nil && err == nil {
		p.mu.Lock()
		p.left++
		hold := p.hold
		p.mu.Unlock()
		if !hold {
			u.Left(nil)
		}
	}
	return err
}

func (p *port) Room() <-chan struct{} {
	room := make(chan struct{})
	close(room)
	return room
}

func (p *port) put(u source.Update) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	if p.state == nil {
		p.state, p.times, p.past = map[string][]byte{}, map[string]time.Time{}, map[string][]ua.StatusCode{}
	}
	if _, known := p.state[string(u.Key)]; p.most > 0 && len(u.Key)+len(u.Payload) > p.most ||
		p.keys > 0 && u.Key != nil && !u.Delete && !known && len(p.state) >= p.keys {
		return source.ErrTooLarge
	}
	if u.Late {
		p.late, p.newest = append(p.late, u), append(p.newest, p.times[string(u.Key)])
		return nil
	}
	p.puts++
	switch {
	case u.Key == nil:
		p.events = append(p.events, u.Payload)
	case u.Delete:
		if u.Event {
			p.ended = append(p.ended, u.Payload)
		}
		delete(p.state, string(u.Key))
	default:
		p.state[string(u.Key)], p.times[string(u.Key)] = u.Payload, u.Time
		if k, err := payload.ParseKey(u.Key); err == nil && k.Kind == payload.Value {
			p.past[string(u.Key)] = append(p.past[string(u.Key)], p.skim(string(u.Key)).Status)
		}
	}
	return nil
}

// skim returns the value of a key.
func (p *port) skim(key string) rawvalue.DataValue {
	raw, err := payload.ParseValue(nil, p.state[key], p.times[key])
	if err != nil {
		return rawvalue.DataValue{}
	}
	v, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	return v
}

func (p *port) SetComplete(whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete = whole
}

// shown returns what was reported so far, and whether the channel is complete.
func (p *port) shown() (states []source.State, complete bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.states), p.complete
}

func (p *port) Report(s source.State, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reported, p.reason, p.states = s, reason, append(p.states, s)
}

func (p *port) Conflated(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conflated += n
}

func (p *port) Missed(n uint64, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.missed == nil {
		p.missed = map[string]uint64{}
	}
	p.missed[what] += n
}

// bare is a source without a server.
func bare(p *port) *Source {
	return &Source{port: p, log: slog.New(slog.DiscardHandler), troubles: map[topic]string{}}
}

func (p *port) Range(f func(key, content []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.state {
		if !f([]byte(k), v) {
			return
		}
	}
}

// nodes unpacks the blocks of a generation that crossed.
func (p *port) nodes(t *testing.T, generation uint32) map[rawvalue.NodeID]addrspace.Node {
	t.Helper()
	got := map[rawvalue.NodeID]addrspace.Node{}
	var packer payload.Packer
	p.Range(func(key, content []byte) bool {
		k, err := payload.ParseKey(key)
		if err != nil {
			t.Fatalf("key %x crossed", key)
		}
		if k.Kind == payload.Block && k.Generation == generation {
			if err := packer.Unpack(content, func(_ byte, n addrspace.Node) { got[n.ID] = n }); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	return got
}

// fake is a server that can only be looked at.
type fake struct {
	nodes map[rawvalue.NodeID]*addrspace.Node
	asked map[rawvalue.NodeID]int // attributes read of a node
	fail  map[rawvalue.NodeID]ua.StatusCode
}

func ns0(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

func named(s string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: s}
}

func encoded(v any) []byte {
	raw, err := (&ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(v)}).Encode()
	if err != nil {
		panic(err)
	}
	return raw
}

func (f *fake) add(node rawvalue.NodeID, class ua.NodeClass, name string) {
	if f.nodes == nil {
		f.nodes, f.asked, f.fail = map[rawvalue.NodeID]*addrspace.Node{}, map[rawvalue.NodeID]int{},
			map[rawvalue.NodeID]ua.StatusCode{}
	}
	f.nodes[node] = &addrspace.Node{ID: node, Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: encoded(int32(class))},
		{ID: ua.AttributeIDBrowseName, Value: encoded(&ua.QualifiedName{NamespaceIndex: node.Namespace,
			Name: name})},
		{ID: ua.AttributeIDDisplayName, Value: encoded(ua.NewLocalizedText(name))},
	}}
}

func (f *fake) refer(from rawvalue.NodeID, kind uint32, to rawvalue.NodeID) {
	for _, end := range []struct {
		at, other rawvalue.NodeID
		inverse   bool
	}{{from, to, false}, {to, from, true}} {
		if n := f.nodes[end.at]; n != nil {
			n.References = append(n.References, addrspace.Reference{Type: ns0(kind), Target: end.other,
				Inverse: end.inverse})
		}
	}
}

func (f *fake) remove(node rawvalue.NodeID) {
	delete(f.nodes, node)
	for _, n := range f.nodes {
		n.References = slices.DeleteFunc(n.References,
			func(r addrspace.Reference) bool { return r.Target == node })
	}
}

func (f *fake) Browse(_ context.Context, ids []rawvalue.NodeID,
	take func(int, ua.StatusCode, []addrspace.Reference)) error {
	for i, node := range ids {
		if n, ok := f.nodes[node]; !ok {
			take(i, ua.StatusBadNodeIDUnknown, nil)
		} else {
			take(i, f.fail[node], n.References)
		}
	}
	return nil
}

func (f *fake) Read(_ context.Context, items []client.ReadItem, _ time.Duration,
	take func(int, rawvalue.DataValue)) error {
	for i, it := range items {
		raw := rawvalue.AppendStatus(nil, ua.StatusBadAttributeIDInvalid, rawvalue.Answer{})
		n, ok := f.nodes[it.Node]
		if !ok {
			raw = rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{})
		} else if at := slices.IndexFunc(n.Attributes,
			func(a addrspace.Attribute) bool { return a.ID == it.Attribute }); at >= 0 {
			raw = n.Attributes[at].Value
			f.asked[it.Node]++
		}
		v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil {
			return err
		}
		take(i, v)
	}
	return nil
}

// plant is a server with a press that has two variables, and a session of a client.
func plant() *fake {
	f := &fake{}
	for n, name := range map[uint32]string{
		id.RootFolder: "Root", id.ObjectsFolder: "Objects", id.TypesFolder: "Types", id.Server: "Server",
		id.Server_ServerDiagnostics:                            "ServerDiagnostics",
		id.Server_ServerDiagnostics_SessionsDiagnosticsSummary: "SessionsDiagnosticsSummary",
	} {
		f.add(ns0(n), ua.NodeClassObject, name)
	}
	for _, n := range []uint32{id.References, id.HierarchicalReferences, id.HasChild, id.Organizes, id.Aggregates,
		id.HasSubtype, id.HasComponent, id.HasProperty, id.HasEventSource} {
		f.add(ns0(n), ua.NodeClassReferenceType, "type")
	}
	f.add(named("press"), ua.NodeClassObject, "Press")
	f.add(named("speed"), ua.NodeClassVariable, "Speed")
	f.add(named("force"), ua.NodeClassVariable, "Force")
	f.add(named("joe"), ua.NodeClassObject, "Joe")
	for _, r := range []struct {
		from rawvalue.NodeID
		kind uint32
		to   rawvalue.NodeID
	}{
		{ns0(id.RootFolder), id.Organizes, ns0(id.ObjectsFolder)},
		{ns0(id.RootFolder), id.Organizes, ns0(id.TypesFolder)},
		{ns0(id.TypesFolder), id.Organizes, ns0(id.References)},
		{ns0(id.References), id.HasSubtype, ns0(id.HierarchicalReferences)},
		{ns0(id.HierarchicalReferences), id.HasSubtype, ns0(id.HasChild)},
		{ns0(id.HierarchicalReferences), id.HasSubtype, ns0(id.Organizes)},
		{ns0(id.HierarchicalReferences), id.HasSubtype, ns0(id.HasEventSource)},
		{ns0(id.HasChild), id.HasSubtype, ns0(id.Aggregates)},
		{ns0(id.HasChild), id.HasSubtype, ns0(id.HasSubtype)},
		{ns0(id.Aggregates), id.HasSubtype, ns0(id.HasComponent)},
		{ns0(id.Aggregates), id.HasSubtype, ns0(id.HasProperty)},
		{ns0(id.ObjectsFolder), id.Organizes, ns0(id.Server)},
		{ns0(id.ObjectsFolder), id.Organizes, named("press")},
		{ns0(id.Server), id.HasComponent, ns0(id.Server_ServerDiagnostics)},
		{ns0(id.Server_ServerDiagnostics), id.HasComponent,
			ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary)},
		{ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary), id.HasComponent, named("joe")},
		{named("press"), id.HasComponent, named("speed")}, {named("press"), id.HasComponent, named("force")},
	} {
		f.refer(r.from, r.kind, r.to)
	}
	return f
}

func class(n *addrspace.Node) ua.NodeClass {
	v, err := rawvalue.SkimDataValue(n.Attributes[0].Value, rawvalue.Limits{})
	if err != nil {
		return 0
	}
	c := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
	return ua.NodeClass(c.Uint32())
}
