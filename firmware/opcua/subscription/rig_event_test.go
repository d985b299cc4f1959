package subscription

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// types is a hierarchy of event types that suffices for filters.
func types(t testing.TB) *addrspace.Space {
	s := addrspace.New()
	put := func(n uint32, class ua.NodeClass, name string, refs ...addrspace.Reference) addrspace.Change {
		return addrspace.Change{Kind: addrspace.Put,
			Node: addrspace.Node{ID: num(n), References: refs, Attributes: []addrspace.Attribute{
				{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class), 0)},
				{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: name}, 0)}}}}
	}
	to := func(kind, target uint32) addrspace.Reference {
		return addrspace.Reference{Type: num(kind), Target: num(target)}
	}
	up := func(target uint32) addrspace.Reference {
		return addrspace.Reference{Type: num(id.HasSubtype), Target: num(target), Inverse: true}
	}
	v := ua.NodeClassVariable
	_, err := s.Apply([]addrspace.Change{
		put(id.Aggregates, ua.NodeClassReferenceType, "Aggregates", to(id.HasSubtype, id.HasProperty)),
		put(id.HasProperty, ua.NodeClassReferenceType, "HasProperty", up(id.Aggregates)),
		put(id.BaseEventType, ua.NodeClassObjectType, "BaseEventType", to(id.HasSubtype, id.ConditionType),
			to(id.HasSubtype, id.RefreshStartEventType), to(id.HasSubtype, id.RefreshEndEventType),
			to(id.HasProperty, 101), to(id.HasProperty, 102), to(id.HasProperty, 103)),
		put(101, v, "Severity"), put(102, v, "EventType"), put(103, v, "EventId"),
		put(id.ConditionType, ua.NodeClassObjectType, "ConditionType", up(id.BaseEventType)),
		put(id.RefreshStartEventType, ua.NodeClassObjectType, "RefreshStartEventType", up(id.BaseEventType)),
		put(id.RefreshEndEventType, ua.NodeClassObjectType, "RefreshEndEventType", up(id.BaseEventType)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alarm is an event of a condition, reported at the Server object.
func alarm(t testing.TB, condition uint32, severity uint16, retain bool) *event.Event {
	t.Helper()
	name := func(s string) event.Operand {
		return event.Operand{Type: num(id.BaseEventType), Path: []rawvalue.QualifiedName{{Name: []byte(s)}},
			Attribute: ua.AttributeIDValue}
	}
	table, err := event.NewTable(
		[]event.Operand{name("EventId"), name("EventType"), name("Severity"), name("Retain"), event.ConditionID()})
	if err != nil {
		t.Fatal(err)
	}
	var fields [][]byte
	for _, x := range []any{[]byte{1}, ua.NewNumericNodeID(0, id.ConditionType), severity, retain,
		tag(condition).UA()} {
		raw, err := ua.MustVariant(x).Encode()
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, raw)
	}
	ev, err := event.FromFields(table, fields)
	if err != nil {
		t.Fatal(err)
	}
	ev.Notifiers = []rawvalue.NodeID{num(id.Server)}
	return ev
}

func eventItem(handle, queue uint32, fields ...string) *ua.MonitoredItemCreateRequest {
	return watch(num(id.Server), handle, func(m *ua.MonitoredItemCreateRequest) {
		m.ItemToMonitor.AttributeID = ua.AttributeIDEventNotifier
		m.RequestedParameters.QueueSize = queue
		m.RequestedParameters.Filter = ua.NewExtensionObject(eventFilter(fields...))
	})
}

func eventFilter(fields ...string) *ua.EventFilter {
	f := &ua.EventFilter{WhereClause: &ua.ContentFilter{Elements: []*ua.ContentFilterElement{}}}
	for _, n := range fields {
		f.SelectClauses = append(f.SelectClauses, &ua.SimpleAttributeOperand{
			TypeDefinitionID: ua.NewNumericNodeID(0, id.BaseEventType), BrowsePath: []*ua.QualifiedName{{Name: n}},
			AttributeID: ua.AttributeIDValue})
	}
	return f
}
