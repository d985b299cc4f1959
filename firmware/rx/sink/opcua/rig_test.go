package opcua

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	opcserver "heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// server records the calls of the mirror.
type server struct {
	space   *addrspace.Space
	values  map[rawvalue.NodeID][]byte
	sets    int
	missing ua.StatusCode
	state   ua.ServerState
	level   byte
	changes []addrspace.Affected
	emitted []*event.Event
	forgot  int
	closed  int
	open    bool
	clients []opcserver.Client
}

func (s *server) Run(ctx context.Context) error             { <-ctx.Done(); return nil }
func (s *server) Ready() error                              { return nil }
func (s *server) Clients() []opcserver.Client               { return s.clients }
func (s *server) Set(node rawvalue.NodeID, v []byte)        { s.values[node] = v; s.sets++ }
func (s *server) Remove(node rawvalue.NodeID)               { delete(s.values, node) }
func (s *server) SetNamespaces([]string)                    {}
func (s *server) SetMissing(code ua.StatusCode)             { s.missing = code }
func (s *server) StructureChanged(a []addrspace.Affected)   { s.changes = append(s.changes, a...) }
func (s *server) Emit(ev *event.Event)                      { s.emitted = append(s.emitted, ev) }
func (s *server) Forget(condition, branch rawvalue.NodeID)  { s.forgot++ }
func (s *server) CloseSessions(ua.StatusCode)               { s.closed++; s.open = false }
func (s *server) Reopen()                                   { s.open = true }
func (s *server) SetState(state ua.ServerState, level byte) { s.state, s.level = state, level }
func (s *server) Space() *addrspace.Space                   { return s.space }
func (s *server) Counters() []counter.Set                   { return []counter.Set{{Part: "opcua_server"}} }

// link is a channel and delivers to the mirror.
type link struct {
	t           *testing.T
	mirror      *mirror
	server      *server
	state       map[string]sink.Update
	unconfirmed map[string]bool
	health      sink.Health
	now         time.Time
	refused     uint64
	expired     uint64
}

func newLink(t *testing.T) *link {
	s := &server{space: addrspace.New(), values: map[rawvalue.NodeID][]byte{}, open: true}
	l := &link{
		t: t, server: s, state: map[string]sink.Update{}, unconfirmed: map[string]bool{},
		health: sink.Health{Totals: 1, State: sink.Up}, now: time.Unix(1_700_000_000, 0),
	}
	l.mirror = newMirror(s, nil, l.Refused, slog.New(slog.DiscardHandler))
	return l
}

func (l *link) Range(f func(key, content []byte) bool) {
	l.States(func(u sink.Update) bool { return f(u.Key, u.Payload) })
}

func (l *link) States(f func(sink.Update) bool) {
	for _, u := range l.state {
		if !f(u) {
			return
		}
	}
}

func (l *link) Confirmed(key []byte) bool { return !l.unconfirmed[string(key)] }
func (l *link) Health() sink.Health       { return l.health }
func (l *link) Refused(n uint64)          { l.refused += n }
func (l *link) Expired(n uint64)          { l.expired += n }

func (l *link) deliver(u sink.Update) {
	if u.Delete {
		delete(l.state, string(u.Key))
	} else if u.Key != nil {
		l.state[string(u.Key)] = u
	}
	l.mirror.handleUpdate(&u)
}

// judge advances the clock and returns why the mirror is not ready.
func (l *link) judge(d time.Duration) string {
	l.now = l.now.Add(d)
	return l.mirror.updateQuality(l, l.health, l.now)
}

// swap has the totals come after which the next generation is in force.
func (l *link) swap() {
	l.judge(time.Second)
	l.health.Totals++
	l.judge(time.Second)
}

func (l *link) announce(generation uint32) {
	l.announceAs(generation, "http://opcfoundation.org/UA/", "urn:plant")
}

func (l *link) announceAs(generation uint32, namespaces ...string) {
	p := payload.SpaceHeader{Generation: generation, Namespaces: namespaces}
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Space}.Append(nil), Payload: p.Append(nil)})
}

func named(s string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: s}
}

// block delivers the first block of a generation with these variables.
func (l *link) block(generation uint32, names ...string) {
	var slots []byte
	var nodes []addrspace.Node
	for i, n := range names {
		if n == "" {
			continue
		}
		slots = append(slots, byte(i))
		nodes = append(nodes, addrspace.Node{ID: named(n), Attributes: []addrspace.Attribute{
			{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}},
			{ID: ua.AttributeIDAccessLevel, Value: []byte{1, 3, 0x7f}},
			{ID: ua.AttributeIDWriteMask, Value: []byte{1, 7, 1, 2, 3, 4}},
			{ID: ua.AttributeIDExecutable, Value: []byte{1, 1, 1}},
		}})
	}
	var p payload.Packer
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: generation}.Append(nil),
		Payload: p.Pack(slots, nodes)})
}

func valueKey(generation, handle uint32) []byte {
	return payload.Key{Kind: payload.Value, Generation: generation, Number: handle}.Append(nil)
}

// sourceTicks is when every value here was taken.
const sourceTicks = 133_444_736_000_000_000

func (l *link) value(generation, handle uint32, f float64) {
	raw := binary.LittleEndian.AppendUint64([]byte{5, byte(ua.TypeIDDouble)}, math.Float64bits(f))
	raw = binary.LittleEndian.AppendUint64(raw, sourceTicks)
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		l.t.Fatal(err)
	}
	content, at := payload.AppendValue(nil, v)
	l.deliver(sink.Update{Key: valueKey(generation, handle), Payload: content, Time: at})
}

// served returns a variable's number and status; NaN without a value.
func (l *link) served(name string) (float64, ua.StatusCode) {
	raw, ok := l.server.values[named(name)]
	if !ok {
		return math.NaN(), l.server.missing
	}
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		l.t.Fatalf("%s is served as %x: %v", name, raw, err)
	}
	if v.SourceTime != sourceTicks {
		l.t.Errorf("%s is served with the source's time %d, want %d", name, v.SourceTime, sourceTicks)
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(v.Value.Raw[1:])), v.Status
}

func (l *link) want(name string, f float64, status ua.StatusCode) {
	l.t.Helper()
	if got, code := l.served(name); got != f && !(math.IsNaN(got) && math.IsNaN(f)) || code != status {
		l.t.Errorf("%s is %v, %v; want %v, %v", name, got, code, f, status)
	}
}

// begun returns a link whose snapshot is not complete, with two variables.
func begun(t *testing.T) *link {
	l := newLink(t)
	l.announce(7)
	l.block(7, "a", "b")
	l.value(7, 0, 1)
	l.value(7, 1, 2)
	return l
}

// complete returns one whose snapshot is complete.
func complete(t *testing.T) *link {
	l := begun(t)
	l.health.Complete = true
	if why := l.judge(time.Second); why != "" {
		t.Fatalf("not ready: %s", why)
	}
	return l
}

var (
	good     = ua.StatusOK
	lastGood = ua.StatusUncertainLastUsableValue
	cutOff   = ua.StatusUncertainNoCommunicationLastUsableValue
)

func ns0(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }
