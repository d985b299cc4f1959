package server

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// noon is when history begins here.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

// keeper is a historian in memory.
type keeper struct {
	mu      sync.Mutex
	values  map[rawvalue.NodeID][]kept
	events  []*event.Event
	torn    bool // no event can be read
	scanned int
	err     error
}

type kept struct {
	at  time.Time
	raw []byte
}

// between yields the elements of a sorted list as Historian has them.
func between[E any](k *keeper, list []E, at func(E) time.Time, from, to time.Time, f func(E) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, backward := slices.Clone(list), from.After(to)
	if backward {
		slices.Reverse(list)
		from, to = to, from
	}
	for _, e := range list {
		if t := at(e); t.Before(from) || t.After(to) {
			continue
		}
		k.scanned++
		if !f(e) {
			break
		}
	}
	return k.err
}

func (k *keeper) Values(node rawvalue.NodeID, from, to time.Time, f func(time.Time, []byte) bool) error {
	return between(k, k.values[node], func(e kept) time.Time { return e.at }, from, to,
		func(e kept) bool { return f(e.at, slices.Clone(e.raw)) })
}

func (k *keeper) Events(from, to time.Time, f func(time.Time, *event.Event) bool) error {
	at := func(ev *event.Event) time.Time { return uabinary.Time(ev.Time) }
	return between(k, k.events, at, from, to, func(ev *event.Event) bool {
		if k.torn {
			return f(at(ev), nil)
		}
		return f(at(ev), ev)
	})
}

// keep adds a value with its source timestamp, and a status unless it is Good.
func (k *keeper) keep(t testing.TB, node rawvalue.NodeID, at time.Time, value any, status ua.StatusCode) {
	t.Helper()
	dv := &ua.DataValue{EncodingMask: ua.DataValueSourceTimestamp, SourceTimestamp: at}
	if value != nil {
		dv.EncodingMask |= ua.DataValueValue
		dv.Value = ua.MustVariant(value)
	}
	if status != ua.StatusOK {
		dv.EncodingMask |= ua.DataValueStatusCode
		dv.Status = status
	}
	raw, err := dv.Encode()
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = map[rawvalue.NodeID][]kept{}
	}
	k.values[node] = append(k.values[node], kept{at, raw})
}

// happened is an event of a severity that the line and the server report.
func happened(t testing.TB, at time.Time, severity uint16) *event.Event {
	t.Helper()
	var operands []event.Operand
	var fields [][]byte
	for _, f := range []struct {
		name  string
		value any
	}{{"EventId", []byte{byte(severity)}}, {"EventType", ua.NewNumericNodeID(0, id.BaseEventType)}, {"Time", at},
		{"Severity", severity}} {
		operands = append(operands, event.Operand{Type: ns0(id.BaseEventType), Attribute: ua.AttributeIDValue,
			Path: []rawvalue.QualifiedName{{Name: []byte(f.name)}}})
		raw, err := ua.MustVariant(f.value).Encode()
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, raw)
	}
	table, err := event.NewTable(operands)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := event.FromFields(table, fields)
	if err != nil {
		t.Fatal(err)
	}
	ev.Notifiers = []rawvalue.NodeID{ns0(id.Server), named("line")}
	return ev
}

// setByte sets an attribute of type Byte.
func setByte(t testing.TB, space *addrspace.Space, node rawvalue.NodeID, bits byte, attributes ...ua.AttributeID) {
	t.Helper()
	c := addrspace.Change{Kind: addrspace.SetAttributes, Node: addrspace.Node{ID: node}}
	for _, a := range attributes {
		c.Node.Attributes = append(c.Node.Attributes, addrspace.Attribute{ID: a, Value: dataValue(t, bits)})
	}
	if _, err := space.Apply([]addrspace.Change{c}); err != nil {
		t.Fatal(err)
	}
}

// historic runs a server whose taga0, tagb0 and line are kept.
func historic(t testing.TB, change func(*Config)) (k *keeper, s *Server, url string) {
	t.Helper()
	k = &keeper{}
	s, url = start(t, func(c *Config) {
		c.Historian = k
		if change != nil {
			change(c)
		}
	})
	factory(t, s)
	for _, name := range []string{"taga0", "tagb0", "tagc0"} {
		setByte(t, s.cfg.Space, named(name), 5, ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel)
	}
	setByte(t, s.cfg.Space, named("line"), 5, ua.AttributeIDEventNotifier)
	return k, s, url
}

// rawOf asks for raw values of nodes, with both timestamps.
func rawOf(token *ua.NodeID, details ua.ReadRawModifiedDetails, nodes ...rawvalue.NodeID) *ua.HistoryReadRequest {
	return historyRequestOf(token, &details, nodes...)
}

func historyRequestOf(token *ua.NodeID, details any, nodes ...rawvalue.NodeID) *ua.HistoryReadRequest {
	r := &ua.HistoryReadRequest{RequestHeader: header(token), HistoryReadDetails: ua.NewExtensionObject(details),
		TimestampsToReturn: ua.TimestampsToReturnBoth}
	for _, n := range nodes {
		r.NodesToRead = append(r.NodesToRead, &ua.HistoryReadValueID{NodeID: n.UA(), DataEncoding: &ua.QualifiedName{}})
	}
	return r
}

// readHistory sends a request that is answered.
func readHistory(t testing.TB, c *channel.Client, req *ua.HistoryReadRequest) []*ua.HistoryReadResult {
	t.Helper()
	resp, code := ask(t, c, req)
	r, ok := resp.(*ua.HistoryReadResponse)
	if !ok || len(r.Results) != len(req.NodesToRead) {
		t.Fatalf("got %T, %v, want a response with %d results", resp, code, len(req.NodesToRead))
	}
	return r.Results
}

// valuesOf returns the values of a result.
func valuesOf(t testing.TB, r *ua.HistoryReadResult) []*ua.DataValue {
	t.Helper()
	d, ok := r.HistoryData.Value.(*ua.HistoryData)
	if !ok {
		t.Fatalf("got %v with %T, want HistoryData", r.StatusCode, r.HistoryData.Value)
	}
	return d.DataValues
}

// severitiesOf returns the one field of each event of a result.
func severitiesOf(t testing.TB, r *ua.HistoryReadResult) (list []uint16) {
	t.Helper()
	d, ok := r.HistoryData.Value.(*ua.HistoryEvent)
	if !ok {
		t.Fatalf("got %v with %T, want a HistoryEvent", r.StatusCode, r.HistoryData.Value)
	}
	for _, ev := range d.Events {
		list = append(list, ev.EventFields[0].Value().(uint16))
	}
	return list
}

// severities selects the Severity of events, with a where clause.
func severities(where ...*ua.ContentFilterElement) *ua.EventFilter {
	return &ua.EventFilter{WhereClause: &ua.ContentFilter{Elements: where},
		SelectClauses: []*ua.SimpleAttributeOperand{severityOperand()}}
}

func severityOperand() *ua.SimpleAttributeOperand {
	return &ua.SimpleAttributeOperand{TypeDefinitionID: ua.NewNumericNodeID(0, id.BaseEventType),
		BrowsePath: []*ua.QualifiedName{{Name: "Severity"}}, AttributeID: ua.AttributeIDValue}
}

// numbers writes values as text: 1, or the status of one that is bad.
func numbers(list []*ua.DataValue) string {
	var out []string
	for _, dv := range list {
		text := dv.Status.Error()
		if dv.EncodingMask&ua.DataValueValue != 0 {
			text = string(rune('0' + int(dv.Value.Float())))
		} else if i := strings.Index(text, "("); i >= 0 {
			text = strings.Trim(text[i:], "()")
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}
