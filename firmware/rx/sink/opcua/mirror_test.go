package opcua

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// server remembers what the mirror told it.
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
}

func (s *server) Run(ctx context.Context) error             { <-ctx.Done(); return nil }
func (s *server) Ready() error                              { return nil }
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

// link is a channel's picture, and delivers to the mirror.
type link struct {
	t           *testing.T
	mirror      *mirror
	server      *server
	state       map[string]sink.Update
	unconfirmed map[string]bool
	health      sink.Health
	now         time.Time
	refused     uint64
}

func newLink(t *testing.T) *link {
	s := &server{space: addrspace.New(), values: map[rawvalue.NodeID][]byte{}, open: true}
	l := &link{
		t: t, server: s, state: map[string]sink.Update{}, unconfirmed: map[string]bool{}, health: sink.Health{State: sink.Up}, now: time.Unix(1_700_000_000, 0),
	}
	l.mirror = newMirror(s, l.Refused, slog.New(slog.DiscardHandler))
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
func (l *link) Expired(uint64)            {}

func (l *link) deliver(u sink.Update) {
	if u.Delete {
		delete(l.state, string(u.Key))
	} else if u.Key != nil {
		l.state[string(u.Key)] = u
	}
	l.mirror.take(&u)
}

// judge lets a time pass and returns why the mirror is not ready.
func (l *link) judge(d time.Duration) string {
	l.now = l.now.Add(d)
	return l.mirror.judge(l, l.health, l.now)
}

func (l *link) announce(generation uint32) {
	p := payload.SpaceHeader{Generation: generation, Namespaces: []string{"http://opcfoundation.org/UA/"}}
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
			{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}, {ID: ua.AttributeIDAccessLevel, Value: []byte{1, 3, 0x7f}},
			{ID: ua.AttributeIDWriteMask, Value: []byte{1, 7, 1, 2, 3, 4}}, {ID: ua.AttributeIDExecutable, Value: []byte{1, 1, 1}},
		}})
	}
	var p payload.Packer
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: generation}.Append(nil), Payload: p.Pack(slots, nodes)})
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

// complete brings a link to a complete picture with two variables.
func complete(t *testing.T) *link {
	l := newLink(t)
	l.announce(7)
	l.block(7, "a", "b")
	l.value(7, 0, 1)
	l.value(7, 1, 2)
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

func TestValuesAndNodesMayComeInAnyOrder(t *testing.T) {
	for name, order := range map[string][]int{"nodes first": {0, 1, 2}, "values first": {2, 1, 0}, "the table last": {1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t)
			steps := []func(){func() { l.announce(7) }, func() { l.block(7, "a") }, func() { l.value(7, 0, 1) }}
			for _, i := range order {
				steps[i]()
			}
			l.judge(time.Second)
			l.want("a", 1, good)
		})
	}
}

func TestBeforeThePictureIsComplete(t *testing.T) {
	l := newLink(t)
	l.health = sink.Health{Stale: true}
	if why := l.judge(time.Second); why == "" {
		t.Error("ready though nothing was heard")
	}
	l.want("a", math.NaN(), ua.StatusBadWaitingForInitialData)
	l.health = sink.Health{State: sink.Up}
	l.announce(7)
	l.block(7, "a", "b")
	l.value(7, 0, 1)
	if why := l.judge(time.Second); why == "" {
		t.Error("ready though the picture is not complete")
	}
	l.want("a", 1, good)
	l.want("b", math.NaN(), ua.StatusBadWaitingForInitialData)
}

func TestQualityTellsTheTruth(t *testing.T) {
	for name, c := range map[string]struct {
		health sink.Health
		want   ua.StatusCode
		state  ua.ServerState
	}{
		"link silent":       {sink.Health{Stale: true, Complete: true, State: sink.Up}, lastGood, ua.ServerStateCommunicationFault},
		"source down":       {sink.Health{Complete: true, State: sink.Down, Reason: "gone"}, cutOff, ua.ServerStateCommunicationFault},
		"source connecting": {sink.Health{Complete: true, State: sink.Connecting}, cutOff, ua.ServerStateCommunicationFault},
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			well := l.health
			l.health = c.health
			if why := l.judge(time.Second); why == "" {
				t.Error("the mirror is ready")
			}
			l.want("a", 1, c.want)
			l.value(7, 1, 5) // one that was under way
			l.want("b", 5, c.want)
			if l.server.state != c.state || l.server.level >= 200 || l.server.missing != ua.StatusBadNoCommunication {
				t.Errorf("the server says %v, level %d, missing values are %v", l.server.state, l.server.level, l.server.missing)
			}
			l.health = well
			if why := l.judge(time.Second); why != "" {
				t.Errorf("not ready afterwards: %s", why)
			}
			l.want("a", 1, good)
			l.want("b", 5, good)
			if l.server.state != ua.ServerStateRunning || l.server.level != 255 {
				t.Errorf("afterwards the server says %v, level %d", l.server.state, l.server.level)
			}
		})
	}
}

func TestABadValueStaysAsBadAsItWas(t *testing.T) {
	l := complete(t)
	raw := []byte{2, 0, 0, 0x05, 0x80} // Bad_CommunicationError of the source's own
	v, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	content, _ := payload.AppendValue(nil, v)
	l.deliver(sink.Update{Key: valueKey(7, 0), Payload: content})
	l.health.Stale = true
	l.judge(time.Second)
	got, _ := rawvalue.SkimDataValue(l.server.values[named("a")], rawvalue.Limits{})
	if got.Status != ua.StatusBadCommunicationError {
		t.Errorf("served as %v, want the source's own code", got.Status)
	}
}

func TestALossMakesWhatItMayHaveChangedUncertain(t *testing.T) {
	l := complete(t)
	l.health.Complete = false
	l.unconfirmed[string(valueKey(7, 0))] = true
	l.judge(time.Second)
	l.want("a", 1, lastGood)
	l.want("b", 2, good)
	delete(l.unconfirmed, string(valueKey(7, 0)))
	l.judge(2 * confirmEach)
	l.want("a", 1, good)
	l.health.Complete = true
	l.judge(2 * confirmEach)
	l.want("a", 1, good)
	sets := l.server.sets
	l.judge(2 * confirmEach)
	if l.server.sets != sets {
		t.Error("values are set again and again though nothing changes")
	}
}

func TestTheSourcesServiceLevelCounts(t *testing.T) {
	l := complete(t)
	var p payload.Packer
	node := addrspace.Node{ID: rawvalue.NodeID{Number: id.Server_ServiceLevel}, Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}}}
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: 1}.Append(nil), Payload: p.Pack([]byte{0}, []addrspace.Node{node})})
	v, _ := rawvalue.SkimDataValue([]byte{1, 3, 120}, rawvalue.Limits{})
	content, _ := payload.AppendValue(nil, v)
	l.deliver(sink.Update{Key: valueKey(7, payload.BlockNodes), Payload: content})
	l.judge(time.Second)
	if l.server.level != 120 {
		t.Errorf("ServiceLevel is %d, want the source's 120", l.server.level)
	}
}

// What a mirror cannot do its nodes do not promise, and what it can do they do.
func TestNodesSayWhatTheMirrorDoes(t *testing.T) {
	l := complete(t)
	with := func(node rawvalue.NodeID, class byte, a ua.AttributeID, value ...byte) addrspace.Node {
		return addrspace.Node{ID: node, Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, class, 0, 0, 0}}, {ID: a, Value: value}}}
	}
	for name, c := range map[string]struct {
		node addrspace.Node
		want []byte
	}{
		"AccessLevel":            {with(named("v"), 2, ua.AttributeIDAccessLevel, 1, 3, 0x7f), []byte{1, 3, 0x11}},
		"UserAccessLevel":        {with(named("v"), 2, ua.AttributeIDUserAccessLevel, 1, 3, 0xff), []byte{1, 3, 0x91}},
		"AccessLevelEx":          {with(named("v"), 2, ua.AttributeIDAccessLevelEx, 1, 7, 0x7f, 1, 2, 3), []byte{1, 7, 0x11, 1, 2, 3}},
		"AccessLevel, refused":   {with(named("v"), 2, ua.AttributeIDAccessLevel, 2, 0, 0, 0x35, 0x80), []byte{2, 0, 0, 0x35, 0x80}},
		"WriteMask":              {with(named("v"), 2, ua.AttributeIDWriteMask, 1, 7, 1, 2, 3, 4), []byte{1, 7, 0, 0, 0, 0}},
		"Historizing":            {with(named("v"), 2, ua.AttributeIDHistorizing, 1, 1, 1), []byte{1, 1, 0}},
		"EventNotifier":          {with(named("o"), 1, ua.AttributeIDEventNotifier, 1, 3, 0x0d), []byte{1, 3, 0x01}},
		"Executable":             {with(named("m"), 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"UserExecutable":         {with(named("m"), 4, ua.AttributeIDUserExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"ConditionRefresh":       {with(ns0(id.ConditionType_ConditionRefresh), 4, ua.AttributeIDExecutable, 1, 1, 0), []byte{1, 1, 1}},
		"ConditionRefresh2":      {with(ns0(id.ConditionType_ConditionRefresh2), 4, ua.AttributeIDUserExecutable, 1, 1, 0), []byte{1, 1, 1}},
		"GetMonitoredItems":      {with(ns0(id.Server_GetMonitoredItems), 4, ua.AttributeIDUserExecutable, 2, 0, 0, 0x35, 0x80), []byte{1, 1, 1}},
		"ResendData":             {with(ns0(id.Server_ResendData), 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 1}},
		"a refresh of another":   {with(ns0(id.AlarmConditionType_ConditionRefresh), 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"the number of another":  {with(rawvalue.NodeID{Namespace: 1, Number: id.Server_ResendData}, 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"a number made a string": {with(rawvalue.NodeID{Kind: rawvalue.String, Text: "12873"}, 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			l.nodes(1, c.node)
			l.server.space.View(func(v addrspace.View) {
				ref, _ := v.Lookup(c.node.ID)
				if got, _ := v.AppendAttribute(nil, ref, c.node.Attributes[1].ID); !bytes.Equal(got, c.want) {
					t.Errorf("got %x, want %x", got, c.want)
				}
			})
		})
	}
}

func TestNodesThatGoAreTold(t *testing.T) {
	l := complete(t)
	l.block(7, "a", "", "c")
	if _, ok := l.server.values[named("b")]; ok {
		t.Error("the value of a node that is gone is served")
	}
	var told []rawvalue.NodeID
	for _, c := range l.server.changes {
		told = append(told, c.Node)
	}
	if !slices.Contains(told, named("b")) || !slices.Contains(told, named("c")) || len(told) != 2 {
		t.Errorf("told of changes of %v, want b and c", told)
	}
	l.want("a", 1, good)
}

func TestAnotherGenerationIsSwappedInWhenComplete(t *testing.T) {
	l := complete(t)
	l.block(8, "x")
	l.value(8, 0, 9)
	l.health.Complete = false
	l.announce(8)
	l.judge(time.Second)
	if l.server.closed != 0 {
		t.Error("clients were sent away before the new picture was complete")
	}
	l.want("a", 1, good)
	l.health.Complete = true
	l.judge(time.Second)
	if l.server.closed != 1 || !l.server.open {
		t.Errorf("sessions were closed %d times, open %v", l.server.closed, l.server.open)
	}
	l.want("x", 9, good)
	if _, ok := l.server.values[named("a")]; ok {
		t.Error("a value of the old generation is served")
	}
	l.value(7, 0, 3) // late, of the old generation
	l.value(8, 0, 10)
	l.want("x", 10, good)
}

func TestRecordsThatMakeNoSenseChangeNothing(t *testing.T) {
	l := complete(t)
	for _, u := range []sink.Update{
		{Key: []byte("?")}, {Key: []byte("G"), Payload: []byte{9}}, {Key: valueKey(7, 0), Payload: []byte{0xff}},
		{Key: valueKey(7, maxHandle), Payload: []byte{0x80}}, {Key: payload.Key{Kind: payload.Block, Generation: 7}.Append(nil), Payload: []byte{1, 2, 3}},
		{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: 1 << 30}.Append(nil)}, {Event: true, Payload: []byte{0, 0, 0, 7, 1}},
		{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil), Payload: []byte{7}},
	} {
		bad := l.mirror.bad.Load()
		l.mirror.take(&u)
		if l.mirror.bad.Load() != bad+1 || l.refused != bad+1 {
			t.Errorf("%x %x was not counted", u.Key, u.Payload)
		}
	}
	bad := l.mirror.bad.Load()
	l.state[string(valueKey(7, 0))] = sink.Update{Key: valueKey(7, 0), Payload: []byte{0xff}}
	l.mirror.reload(l)
	if l.mirror.bad.Load() != bad {
		t.Error("a record that is taken over again was counted again")
	}
	l.want("a", 1, good)
	l.want("b", 2, good)
}

// TestABlockSaysWhyAVariableHasNoValue: the link had no room for its value, nor for a
// status in its place.
func TestABlockSaysWhyAVariableHasNoValue(t *testing.T) {
	l := complete(t)
	deliver := func(absent ...addrspace.Attribute) {
		attributes := append([]addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}}, absent...)
		var p payload.Packer
		nodes := []addrspace.Node{{ID: named("a"), Attributes: attributes}, {ID: named("b"), Attributes: attributes}, {ID: named("c"), Attributes: attributes}}
		l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7}.Append(nil), Payload: p.Pack([]byte{0, 1, 2}, nodes)})
	}
	deliver(addrspace.Attribute{ID: ua.AttributeIDValue, Value: rawvalue.AppendStatus(nil, ua.StatusBadOutOfMemory, rawvalue.Answer{})})
	for _, name := range []string{"a", "c"} { // one that had a value, and one that had none
		raw := l.server.values[named(name)]
		if v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err != nil || v.Status != ua.StatusBadOutOfMemory || !v.Value.IsNull() {
			t.Errorf("%s is served as %x, want Bad_OutOfMemory alone", name, raw)
		}
	}
	deliver()
	l.want("a", 1, good)
	l.want("c", math.NaN(), l.server.missing)
}
