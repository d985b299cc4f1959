package event

import (
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Event is one event. What stands before Table was read from its fields.
type Event struct {
	ID        []byte
	Type      rawvalue.NodeID
	Source    rawvalue.NodeID
	Condition rawvalue.NodeID // ConditionId, null for what is no condition
	Branch    rawvalue.NodeID
	Time      int64 // ticks of 100 ns since 1601
	Severity  uint16
	Retain    bool

	Notifiers []rawvalue.NodeID // nodes whose subscribers get it
	Table     *Table
	Values    [][]byte // raw Variants, numbered as the Table's operands; nil is null
}

// FromFields makes an event from the fields that a source gave for the select
// clauses of a table, and keeps values. Without EventId or EventType it is none.
func FromFields(t *Table, values [][]byte) (*Event, error) {
	if len(values) != len(t.operands) {
		return nil, fault("%d fields for %d select clauses", len(values), len(t.operands))
	}
	ev := &Event{Table: t, Values: values}
	scalar := func(o Operand) value { return decode(ev.first(o.key())) }
	eventID := scalar(base("EventId"))
	if eventID.t != ua.TypeIDByteString || len(eventID.b) == 0 {
		return nil, fault("no EventId")
	}
	ev.ID = eventID.b
	if ev.Type = scalar(base("EventType")).nodeID(); ev.Type == (rawvalue.NodeID{}) {
		return nil, fault("no EventType")
	}
	ev.Source = scalar(base("SourceNode")).nodeID()
	ev.Condition = scalar(ConditionID()).nodeID()
	ev.Branch = scalar(base("BranchId")).nodeID()
	if v := scalar(base("Time")); v.t == ua.TypeIDDateTime {
		ev.Time = v.n
	}
	if v := scalar(base("Severity")); v.t == ua.TypeIDUint16 {
		ev.Severity = uint16(v.n)
	}
	if v := scalar(base("Retain")); v.t == ua.TypeIDBoolean {
		ev.Retain = v.n != 0
	}
	return ev, nil
}

// ConditionID is the operand that yields the ConditionId (OPC 10000-9 §5.5.2).
func ConditionID() Operand {
	return Operand{Type: rawvalue.NodeID{Number: id.ConditionType}, Attribute: ua.AttributeIDNodeID}
}

// base is a field of the standard's, whichever type declares it.
func base(name string) Operand {
	return Operand{Path: []rawvalue.QualifiedName{{Name: []byte(name)}}, Attribute: ua.AttributeIDValue}
}

// first returns the first value that is given under a key; sibling types may
// declare the same path, and an event is only of one of them.
func (ev *Event) first(key string) []byte {
	for _, i := range ev.Table.index[key] {
		if raw := ev.Values[i]; len(raw) > 0 && raw[0] != 0 {
			return raw
		}
	}
	return nil
}

// is tells whether the event is of a type; null stands for every type.
func (ev *Event) is(t rawvalue.NodeID, v addrspace.View) bool {
	return t == rawvalue.NodeID{} || t == rawvalue.NodeID{Number: id.BaseEventType} || ev.Type == t || v.IsSubtype(ev.Type, t)
}
