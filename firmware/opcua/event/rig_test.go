package event

import (
	"encoding/binary"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func num(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

// types is a small hierarchy: BaseEventType with Severity and Message,
// ConditionType below it with Retain and EnabledState/Id, and 9000 with a node
// version that is not an event type.
func types(t testing.TB) *addrspace.Space {
	s := addrspace.New()
	add := func(n uint32, class ua.NodeClass, name string, refs ...addrspace.Reference) addrspace.Change {
		bn := appendName([]byte{1, byte(ua.TypeIDQualifiedName)}, rawvalue.QualifiedName{Name: []byte(name)})
		nc := binary.LittleEndian.AppendUint32([]byte{1, byte(ua.TypeIDInt32)}, uint32(class))
		return addrspace.Change{Kind: addrspace.Put,
			Node: addrspace.Node{ID: num(n), References: refs, Attributes: []addrspace.Attribute{
				{ID: ua.AttributeIDNodeClass, Value: nc}, {ID: ua.AttributeIDBrowseName, Value: bn}}}}
	}
	to := func(kind, target uint32) addrspace.Reference {
		return addrspace.Reference{Type: num(kind), Target: num(target)}
	}
	from := func(kind, target uint32) addrspace.Reference {
		return addrspace.Reference{Type: num(kind), Target: num(target), Inverse: true}
	}
	v := ua.NodeClassVariable
	_, err := s.Apply([]addrspace.Change{
		add(id.Aggregates, ua.NodeClassReferenceType, "Aggregates", to(id.HasSubtype, id.HasProperty),
			to(id.HasSubtype, id.HasComponent)),
		add(id.HasProperty, ua.NodeClassReferenceType, "HasProperty", from(id.HasSubtype, id.Aggregates)),
		add(id.HasComponent, ua.NodeClassReferenceType, "HasComponent", from(id.HasSubtype, id.Aggregates)),
		add(id.BaseEventType, ua.NodeClassObjectType, "BaseEventType", to(id.HasSubtype, id.ConditionType),
			to(id.HasProperty, 101), to(id.HasProperty, 102)),
		add(101, v, "Severity"), add(102, v, "Message"),
		add(id.ConditionType, ua.NodeClassObjectType, "ConditionType", from(id.HasSubtype, id.BaseEventType),
			to(id.HasProperty, 103), to(id.HasComponent, 104), to(id.HasProperty, 106)),
		add(103, v, "Retain"), add(104, v, "EnabledState", to(id.HasProperty, 105)), add(105, v, "Id"),
		add(106, v, "Severity"),
		add(9000, ua.NodeClassObject, "Pump", to(id.HasProperty, 9001)), add(9001, v, "NodeVersion"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func variant(t testing.TB, x any) []byte {
	t.Helper()
	raw, err := ua.MustVariant(x).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// alarm is a condition event with severity 700.
func alarm(t testing.TB, eventID string, retain bool) *Event {
	t.Helper()
	table, err := NewTable(
		[]Operand{standardField("EventId"), standardField("EventType"), standardField("Severity"),
			standardField("Message"), standardField("Retain"), ConditionID(), standardField("Absent"),
			standardField("List")})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := FromFields(table, [][]byte{
		variant(t, []byte(eventID)), variant(t, ua.NewNumericNodeID(0, id.ConditionType)), variant(t, uint16(700)),
		variant(t, "tank is full"), variant(t, retain), variant(t, ua.NewNumericNodeID(0, 9000)), nil,
		variant(t, []int32{1, 2, 3})})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func clause(typ uint32, path ...string) *ua.SimpleAttributeOperand {
	s := &ua.SimpleAttributeOperand{TypeDefinitionID: ua.NewNumericNodeID(0, typ), AttributeID: ua.AttributeIDValue}
	for _, n := range path {
		s.BrowsePath = append(s.BrowsePath, &ua.QualifiedName{Name: n})
	}
	return s
}

func where(es ...*ua.ContentFilterElement) *ua.EventFilter {
	return &ua.EventFilter{SelectClauses: []*ua.SimpleAttributeOperand{clause(id.BaseEventType, "Severity")},
		WhereClause: &ua.ContentFilter{Elements: es}}
}

// el makes an element; an operand that is an *ua operand stands for itself,
// anything else is a literal.
func el(op ua.FilterOperator, operands ...any) *ua.ContentFilterElement {
	e := &ua.ContentFilterElement{FilterOperator: op}
	for _, o := range operands {
		switch o.(type) {
		case nil:
			o = &ua.LiteralOperand{}
		case *ua.SimpleAttributeOperand, *ua.AttributeOperand, *ua.ElementOperand:
		default:
			o = &ua.LiteralOperand{Value: ua.MustVariant(o)}
		}
		e.FilterOperands = append(e.FilterOperands, &ua.ExtensionObject{Value: o})
	}
	return e
}
