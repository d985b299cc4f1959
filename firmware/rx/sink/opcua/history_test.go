package opcua

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/rx/sink"
)

// memory is a Store in memory.
type memory struct {
	values map[string][]entry
	events []entry
	given  uint64
	behind uint64 // how many of the newest are not durable
	full   error  // why nothing is kept; nil: all is
	adding func() // is called before a value is added
}

func (s *memory) Progress() (given, durable uint64) { return s.given, s.given - s.behind }

type entry struct {
	at    time.Time
	bytes []byte
}

// insert keeps a list in the order of time, each entry once.
func insert(list []entry, at time.Time, b []byte) []entry {
	for _, e := range list {
		if e.at.Equal(at) && bytes.Equal(e.bytes, b) {
			return list
		}
	}
	list = append(list, entry{at, bytes.Clone(b)})
	slices.SortStableFunc(list, func(a, b entry) int { return a.at.Compare(b.at) })
	return list
}

func (s *memory) HasRoom() bool { return s.full == nil }

func (s *memory) AddValue(node []byte, at time.Time, value []byte) error {
	s.adding()
	if s.given++; s.full != nil {
		return s.full
	}
	s.values[string(node)] = insert(s.values[string(node)], at, value)
	return nil
}

func (s *memory) AddEvent(at time.Time, payload []byte) error {
	if s.given++; s.full != nil {
		return s.full
	}
	s.events = insert(s.events, at, payload)
	return nil
}

func (s *memory) Values(node []byte, from, to time.Time, f func(time.Time, []byte) bool) error {
	return between(s.values[string(node)], from, to, f)
}

func (s *memory) Events(from, to time.Time, f func(time.Time, []byte) bool) error {
	return between(s.events, from, to, f)
}

func between(list []entry, from, to time.Time, f func(time.Time, []byte) bool) error {
	list = slices.Clone(list)
	if from.After(to) {
		slices.Reverse(list)
		from, to = to, from
	}
	for _, e := range list {
		if !e.at.Before(from) && !e.at.After(to) && !f(e.at, e.bytes) {
			break
		}
	}
	return nil
}

// historic is a link whose mirror keeps history, with the variables a and b.
func historic(t *testing.T, s *memory, outages ...sink.Outage) *link {
	l := newLink(t)
	h := NewHistory(s, func() []sink.Outage { return outages })
	h.now = func() time.Time { return l.now }
	l.mirror = newMirror(l.server, h, l.Refused, slog.New(slog.DiscardHandler))
	l.announce(7)
	l.variables(7, "a", "b")
	l.health.Complete = true
	l.judge(time.Second)
	return l
}

func newMemory() *memory { return &memory{values: map[string][]entry{}, adding: func() {}} }

// variables delivers a block of variables that can be read.
func (l *link) variables(generation uint32, names ...string) {
	var slots []byte
	var nodes []addrspace.Node
	for i, n := range names {
		slots = append(slots, byte(i))
		nodes = append(nodes, variableNode(named(n), 0x03))
	}
	var p payload.Packer
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: generation}.Append(nil),
		Payload: p.Pack(slots, nodes)})
}

func variableNode(n rawvalue.NodeID, access byte) addrspace.Node {
	return addrspace.Node{ID: n, Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}},
		{ID: ua.AttributeIDAccessLevel, Value: []byte{1, 3, access}},
		{ID: ua.AttributeIDUserAccessLevel, Value: []byte{1, 3, access}},
		{ID: ua.AttributeIDHistorizing, Value: []byte{1, 1, 0}},
	}}
}

// start is when values begin here.
var start = uabinary.Time(sourceTicks)

// sample is the update of a value, so many seconds after start; without a source timestamp for
// a negative number.
func sample(handle uint32, second int, f float64, status ua.StatusCode, late bool) sink.Update {
	raw := binary.LittleEndian.AppendUint64([]byte{1, byte(ua.TypeIDDouble)}, math.Float64bits(f))
	if status != ua.StatusOK {
		raw[0] |= ua.DataValueStatusCode
		raw = binary.LittleEndian.AppendUint32(raw, uint32(status))
	}
	if second >= 0 {
		raw[0] |= ua.DataValueSourceTimestamp
		raw = binary.LittleEndian.AppendUint64(raw, uint64(sourceTicks+int64(second)*1e7))
	}
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		panic(err)
	}
	content, at := payload.AppendValue(nil, v)
	return sink.Update{Key: valueKey(7, handle), Payload: content, Time: at, Late: late}
}

// read writes the history of a node: second:number, or second!status.
func (l *link) read(node rawvalue.NodeID, from, to time.Time) string {
	var out []string
	err := l.mirror.history.Values(node, from, to, func(at time.Time, raw []byte) bool {
		v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil {
			l.t.Fatal(err)
		}
		text := fmt.Sprintf("%d", int(at.Sub(start).Seconds()))
		if !v.Value.IsNull() {
			text += fmt.Sprintf(":%v", math.Float64frombits(binary.LittleEndian.Uint64(v.Value.Raw[1:])))
		}
		if v.Status != ua.StatusOK {
			text += fmt.Sprintf("!%x", uint32(v.Status))
		}
		out = append(out, text)
		return true
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func (l *link) wantHistory(node rawvalue.NodeID, want string) {
	l.t.Helper()
	if got := l.read(node, beginning, endOfTime); got != want {
		l.t.Errorf("%v: the history is %q, want %q", node, got, want)
	}
}

func TestChangesAreHistory(t *testing.T) {
	l := historic(t, newMemory())
	l.deliver(sample(0, 0, 1, good, false))
	l.deliver(sample(0, 1, 2, ua.StatusBadSensorFailure, false))
	l.deliver(sample(0, 1, 2, ua.StatusBadSensorFailure, false)) // once more, as after a loss
	l.deliver(sample(1, 5, 9, good, false))
	l.health.Stale = true // what is served is Uncertain meanwhile
	l.judge(time.Second)
	l.deliver(sample(0, 2, 3, good, false))
	l.wantHistory(named("a"), "0:1 1:2!808c0000 2:3")
	l.wantHistory(named("b"), "5:9")
	if got := l.read(named("a"), start.Add(time.Second), start); got != "1:2!808c0000 0:1" {
		t.Errorf("backward: got %q", got)
	}
}

func TestLateValuesAreHistoryAlone(t *testing.T) {
	l := historic(t, newMemory())
	l.deliver(sample(0, 0, 1, good, false))
	l.deliver(sample(0, 9, 5, good, false))
	sets := l.server.sets
	l.deliver(sample(0, 4, 3, good, true))
	l.deliver(sample(0, 12, 4, good, true)) // a source whose clock was ahead
	l.wantHistory(named("a"), "0:1 4:3 9:5 12:4")
	if got := math.Float64frombits(binary.LittleEndian.Uint64(l.server.values[named("a")][2:])); got != 5 ||
		l.server.sets != sets {
		t.Errorf("%v is served, and %d values were set; want 5, and none", got, l.server.sets-sets)
	}
	for name, u := range map[string]sink.Update{
		"of a node that is not known": sample(40, 4, 3, good, true),
		"of another generation": func() sink.Update {
			u := sample(0, 4, 3, good, true)
			u.Key = valueKey(8, 0)
			return u
		}(),
		"malformed":        {Key: valueKey(7, 0), Payload: []byte{0xff}, Late: true},
		"without any time": sample(0, -1, 3, good, true),
	} {
		before := l.refused
		if l.deliver(u); l.refused != before+1 {
			t.Errorf("%s: %d records were refused, want one", name, l.refused-before)
		}
	}
}

func TestAValueThatArrivesBeforeItsNodeIsHistory(t *testing.T) {
	l := historic(t, newMemory())
	l.deliver(sample(2, 3, 7, good, false))
	l.variables(7, "a", "b", "c")
	l.variables(7, "a", "b", "c")
	l.wantHistory(named("c"), "3:7")
}

// The source's NamespaceArray grows: its nodes may arrive before it, and are not sent again.
func TestNodesThatArriveBeforeTheirNamespaceHaveAHistory(t *testing.T) {
	l := historic(t, newMemory())
	node := rawvalue.NodeID{Namespace: 2, Number: 3}
	l.nodes(1, variableNode(node, 0x03))
	l.deliver(sample(payload.BlockNodes, 1, 1, good, false))
	l.announceAs(7, "http://opcfoundation.org/UA/", "urn:plant", "urn:new")
	l.judge(time.Second)
	l.server.space.View(func(v addrspace.View) {
		ref, _ := v.Lookup(node)
		if got, _ := v.AppendAttribute(nil, ref, ua.AttributeIDAccessLevel); len(got) != 3 || got[2] != 0x05 {
			t.Errorf("AccessLevel is %x, want CurrentRead and HistoryRead", got)
		}
	})
	l.deliver(sample(payload.BlockNodes, 9, 9, good, false))
	l.deliver(sample(payload.BlockNodes, 4, 4, good, true))
	l.wantHistory(node, "1:1 4:4 9:9")
	given := l.mirror.history.store.(*memory).given
	l.announceAs(7, "http://opcfoundation.org/UA/", "urn:plant", "urn:new") // again, as after a loss
	l.judge(time.Second)
	if n := l.mirror.history.store.(*memory).given - given; n != 0 {
		t.Errorf("%d values were kept again, want none", n)
	}
}

func TestValuesWithoutATimestampHaveThatOfArrival(t *testing.T) {
	l := historic(t, newMemory())
	l.now = start.Add(3 * time.Second)
	l.deliver(sample(0, -1, 1, good, false))
	l.now = start.Add(5 * time.Second)
	l.deliver(sample(0, -1, 1, good, false)) // the same value again is not a change
	l.deliver(sample(0, -1, 2, good, false))
	l.wantHistory(named("a"), "3:1 5:2")
}

// The transmitter says when it read them.
func TestLateValuesWithoutATimestampHaveThatOfTheirReading(t *testing.T) {
	l := historic(t, newMemory())
	l.now = start.Add(time.Hour)
	u := sample(0, -1, 3, good, true)
	u.Time = start.Add(4 * time.Second)
	l.deliver(u)
	l.wantHistory(named("a"), "4:3")
}

func TestWhatIsKept(t *testing.T) {
	property := func(name string) addrspace.Node {
		n := variableNode(named(name), 3)
		raw, err := ua.MustVariant(&ua.QualifiedName{Name: name}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		n.Attributes = append(n.Attributes,
			addrspace.Attribute{ID: ua.AttributeIDBrowseName, Value: append([]byte{1}, raw...)})
		n.References = []addrspace.Reference{{Type: ns0(id.HasTypeDefinition), Target: ns0(id.PropertyType)}}
		return n
	}
	object := addrspace.Node{ID: named("o"), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 1, 0, 0, 0}},
		{ID: ua.AttributeIDEventNotifier, Value: []byte{1, 3, 0x09}}}}
	silent := addrspace.Node{ID: named("o"), Attributes: []addrspace.Attribute{object.Attributes[0],
		{ID: ua.AttributeIDEventNotifier, Value: []byte{1, 3, 0x0c}}}}
	for name, c := range map[string]struct {
		node      addrspace.Node
		attribute ua.AttributeID
		want      byte
	}{
		"a variable":                {variableNode(named("v"), 0x7b), ua.AttributeIDAccessLevel, 0x15},
		"a variable, for a user":    {variableNode(named("v"), 0x03), ua.AttributeIDUserAccessLevel, 0x05},
		"a variable, historizing":   {variableNode(named("v"), 0x03), ua.AttributeIDHistorizing, 1},
		"not readable":              {variableNode(named("v"), 0x0e), ua.AttributeIDAccessLevel, 0x00},
		"not readable, historizing": {variableNode(named("v"), 0x0e), ua.AttributeIDHistorizing, 0},
		"metadata":                  {property("EngineeringUnits"), ua.AttributeIDAccessLevel, 0x01},
		"another property":          {property("SetPoint"), ua.AttributeIDAccessLevel, 0x05},
		"of namespace 0":            {variableNode(ns0(2258), 0x03), ua.AttributeIDAccessLevel, 0x01},
		"of no known namespace": {variableNode(rawvalue.NodeID{Namespace: 5, Number: 1}, 3),
			ua.AttributeIDAccessLevel, 0x01},
		"a notifier":     {object, ua.AttributeIDEventNotifier, 0x05},
		"not a notifier": {silent, ua.AttributeIDEventNotifier, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			l := historic(t, newMemory())
			l.nodes(1, c.node)
			l.server.space.View(func(v addrspace.View) {
				ref, _ := v.Lookup(c.node.ID)
				if got, _ := v.AppendAttribute(nil, ref, c.attribute); len(got) != 3 || got[2] != c.want {
					t.Errorf("got %x, want %x", got, c.want)
				}
			})
		})
	}
}

// TestOutagesReadAsLostData: at the beginning of each, for every node, in order among the values.
func TestOutagesReadAsLostData(t *testing.T) {
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	hole := func(from, to int) sink.Outage { return sink.Outage{From: at(from), To: at(to)} }
	l := historic(t, newMemory(), hole(20, 25), hole(2, 4), hole(3, 6), hole(9, 10))
	for _, s := range []int{0, 2, 7, 20, 30} {
		l.deliver(sample(0, s, float64(s), good, false))
	}
	l.wantHistory(named("a"), "0:0 2:2 2!809d0000 7:7 9!809d0000 20:20 20!809d0000 30:30")
	l.wantHistory(named("b"), "2!809d0000 9!809d0000 20!809d0000")
	for _, c := range []struct {
		from, to int
		want     string
	}{
		{30, 0, "30:30 20!809d0000 20:20 9!809d0000 7:7 2!809d0000 2:2 0:0"}, {3, 8, "7:7"}, {9, 9, "9!809d0000"},
		{10, 8, "9!809d0000"}, {2, 2, "2:2 2!809d0000"}, {25, 40, "30:30"},
	} {
		if got := l.read(named("a"), at(c.from), at(c.to)); got != c.want {
			t.Errorf("%d to %d: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
	n := 0
	_ = l.mirror.history.Values(named("a"), at(0), at(30), func(time.Time, []byte) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("%d entries came, 3 were asked for", n)
	}
}

// TestHistoryOutlivesAGeneration: a node has another index of its namespace then.
func TestHistoryOutlivesAGeneration(t *testing.T) {
	l := historic(t, newMemory())
	l.deliver(sample(0, 1, 1, good, false))
	l.announceAs(8, "http://opcfoundation.org/UA/", "urn:other", "urn:plant")
	l.swap()
	moved := named("a")
	moved.Namespace = 2
	l.wantHistory(moved, "1:1")
	l.wantHistory(named("a"), "")
}

// plainEvent is an event so many seconds after start.
func plainEvent(t *testing.T, second int) *event.Event {
	t.Helper()
	var operands []event.Operand
	var values [][]byte
	for _, f := range []struct {
		name  string
		value any
	}{{"EventId", []byte{byte(second)}}, {"EventType", ns0(id.BaseEventType).UA()},
		{"Time", start.Add(time.Duration(second) * time.Second)}} {
		operands = append(operands, event.Operand{Path: []rawvalue.QualifiedName{{Name: []byte(f.name)}},
			Attribute: ua.AttributeIDValue})
		raw, err := ua.MustVariant(f.value).Encode()
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, raw)
	}
	table, err := event.NewTable(operands)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := event.FromFields(table, values)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func eventUpdate(ev *event.Event, late bool) sink.Update {
	return sink.Update{Payload: payload.AppendEvent(nil, 7, ev.Append(nil)), Event: true, Late: late}
}

func tableUpdate(ev *event.Event) sink.Update {
	return sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil), Payload: ev.Table.Append(nil)}
}

// happened returns the seconds of the events that are kept.
func (l *link) happened() (seconds []int) {
	_ = l.mirror.history.Events(beginning, endOfTime, func(at time.Time, ev *event.Event) bool {
		if ev == nil {
			return true
		}
		if cmp.Compare(uabinary.Ticks(at), ev.Time) != 0 {
			l.t.Errorf("an event of %d is kept at %v", ev.Time, at)
		}
		seconds = append(seconds, int(at.Sub(start).Seconds()))
		return true
	})
	return seconds
}

func TestEventsAreHistory(t *testing.T) {
	s := newMemory()
	l := historic(t, s)
	l.deliver(eventUpdate(plainEvent(t, 3), false)) // waits for its table
	l.deliver(eventUpdate(plainEvent(t, 2), true))
	l.deliver(tableUpdate(plainEvent(t, 0)))
	l.deliver(eventUpdate(plainEvent(t, 9), false))
	l.deliver(eventUpdate(plainEvent(t, 9), true)) // once more
	l.deliver(eventUpdate(plainEvent(t, 5), true))
	if got := l.happened(); !slices.Equal(got, []int{2, 3, 5, 9}) || l.refused > 0 {
		t.Errorf("events of %v are kept, %d refused; want 2, 3, 5 and 9", got, l.refused)
	}
	if len(l.server.emitted) != 2 {
		t.Errorf("%d events were emitted, want those that were not late", len(l.server.emitted))
	}

	// after a restart without a table, and with namespaces that were added, or moved
	for name, c := range map[string]struct {
		namespaces []string
		want       []int
	}{
		"the same":  {[]string{"http://opcfoundation.org/UA/", "urn:plant"}, []int{2, 3, 5, 9}},
		"one added": {[]string{"http://opcfoundation.org/UA/", "urn:plant", "urn:more"}, []int{2, 3, 5, 9}},
		"moved":     {[]string{"http://opcfoundation.org/UA/", "urn:more", "urn:plant"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			again := historic(t, s)
			again.announceAs(9, c.namespaces...)
			again.swap()
			if got := again.happened(); !slices.Equal(got, c.want) {
				t.Errorf("events of %v are read, want %v", got, c.want)
			}
		})
	}
	delete(s.values, string(tableName(plainEvent(t, 0).Table.ID())))
	broken := historic(t, s)
	if got := broken.happened(); got != nil || broken.mirror.history.unreadable.Load() != 4 {
		t.Errorf("without a table events of %v are read, %d counted; want none, and 4", got,
			broken.mirror.history.unreadable.Load())
	}
}

// TestWhatEventsNeedStaysLonger: the oldest is removed first, so it is kept at a later time.
func TestWhatEventsNeedStaysLonger(t *testing.T) {
	s := newMemory()
	l := historic(t, s)
	l.deliver(tableUpdate(plainEvent(t, 0)))
	for _, second := range []int{0, 10, 4000, 20000} {
		at := start.Add(time.Duration(second) * time.Second)
		l.now = at
		l.deliver(eventUpdate(plainEvent(t, second), false))
		for _, name := range [][]byte{tableName(plainEvent(t, 0).Table.ID()), spaceName(7)} {
			list := s.values[string(name)]
			if len(list) == 0 || !list[len(list)-1].at.After(at) {
				t.Errorf("second %d: %q is not kept longer than the event", second, name)
			}
		}
	}
	l.deliver(eventUpdate(plainEvent(t, 1<<30), false)) // the clock of a source is decades ahead
	list := s.values[string(spaceName(7))]
	if ahead := list[len(list)-1].at.Sub(l.now); ahead > 3*time.Hour {
		t.Errorf("for an event of the future the generation is kept at %v from now", ahead)
	}
	if n := len(list); n > 3 {
		t.Errorf("the generation was kept %d times in 6 hours", n)
	}
}
