package event

import (
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Event is one event. The fields before Notifiers are decoded from Values.
type Event struct {
	ID        []byte
	Type      rawvalue.NodeID
	Source    rawvalue.NodeID
	Condition rawvalue.NodeID // ConditionId, null if it is not a condition
	Branch    rawvalue.NodeID
	Time      int64 // ticks of 100 ns since 1601
	Severity  uint16
	Retain    bool

	Notifiers []rawvalue.NodeID // nodes that report it
	Table     *Table
	Values    [][]byte // raw Variants, numbered as the Table's operands; nil is null
}

// FromFields makes an event from the fields that a source returned for the select clauses of a
// table, and keeps values. EventId and EventType are mandatory.
func FromFields(t *Table, values [][]byte) (*Event, error) {
	if len(values) != len(t.operands) {
		return nil, fault("%d fields for %d select clauses", len(values), len(t.operands))
	}
	ev := &Event{Table: t, Values: values}
	scalar := func(o Operand) value { return decode(ev.rawField(o.key())) }
	eventID := scalar(standardField("EventId"))
	if eventID.t != ua.TypeIDByteString || len(eventID.b) == 0 {
		return nil, fault("no EventId")
	}
	ev.ID = eventID.b
	if ev.Type = scalar(standardField("EventType")).nodeID(); ev.Type == (rawvalue.NodeID{}) {
		return nil, fault("no EventType")
	}
	ev.Source = scalar(standardField("SourceNode")).nodeID()
	ev.Condition = scalar(ConditionID()).nodeID()
	ev.Branch = scalar(standardField("BranchId")).nodeID()
	if v := scalar(standardField("Time")); v.t == ua.TypeIDDateTime {
		ev.Time = v.n
	}
	if v := scalar(standardField("Severity")); v.t == ua.TypeIDUint16 {
		ev.Severity = uint16(v.n)
	}
	if v := scalar(standardField("Retain")); v.t == ua.TypeIDBoolean {
		ev.Retain = v.n != 0
	}
	return ev, nil
}

// ConditionID returns the operand for the ConditionId (OPC 10000-9 §5.5.2).
func ConditionID() Operand {
	return Operand{Type: rawvalue.NodeID{Number: id.ConditionType}, Attribute: ua.AttributeIDNodeID}
}

// standardField returns the operand for a field of namespace 0, whichever type declares it.
func standardField(name string) Operand {
	return Operand{Path: []rawvalue.QualifiedName{{Name: []byte(name)}}, Attribute: ua.AttributeIDValue}
}

// rawField returns the value of a field by key, nil for null. Sibling types may declare the
// same path; an event is of one of them only.
func (ev *Event) rawField(key string) []byte {
	for _, i := range ev.Table.index[key] {
		if raw := ev.Values[i]; len(raw) > 0 && raw[0] != 0 {
			return raw
		}
	}
	return nil
}

// isOfType reports whether the event is of a type or a subtype of it; null means any type.
func (ev *Event) isOfType(t rawvalue.NodeID, v addrspace.View) bool {
	return t == rawvalue.NodeID{} || t == rawvalue.NodeID{Number: id.BaseEventType} || ev.Type == t ||
		v.IsSubtype(ev.Type, t)
}
