package event

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func TestSelectClausesAnswer(t *testing.T) {
	list := clause(id.BaseEventType, "Severity")
	list.IndexRange = "x"
	attribute := clause(id.BaseEventType, "Severity")
	attribute.AttributeID = 99
	condition := clause(id.ConditionType)
	condition.AttributeID = ua.AttributeIDNodeID
	clauses := []*ua.SimpleAttributeOperand{
		clause(id.ConditionType, "Severity"), clause(id.BaseEventType, "Nothing"), clause(9000, "Severity"), list,
		attribute, condition, clause(id.BaseEventType, "Retain")}
	want := []ua.StatusCode{0, ua.StatusBadNodeIDUnknown, ua.StatusBadTypeDefinitionInvalid,
		ua.StatusBadIndexRangeInvalid, ua.StatusBadAttributeIDInvalid, 0, 0}
	types(t).View(func(v addrspace.View) {
		f, result, status := NewFilter(&ua.EventFilter{SelectClauses: clauses}, v, Limits{})
		if status != ua.StatusOK || !slices.Equal(result.SelectClauseResults, want) {
			t.Fatalf("got %v %v, want Good %v", status, result.SelectClauseResults, want)
		}
		fields := slices.Concat(variant(t, uint16(700)), []byte{0, 0, 0, 0}, variant(t, ua.NewNumericNodeID(0, 9000)),
			variant(t, true))
		ev := alarm(t, "1", true)
		if got := f.AppendFields(nil, ev, v); !bytes.Equal(got, fields) {
			t.Errorf("got % x, want % x", got, fields)
		}
		dst := make([]byte, 0, 256)
		if n := testing.AllocsPerRun(100, func() { f.AppendFields(dst, ev, v) }); n != 0 {
			t.Errorf("got %v allocations, want none", n)
		}
		plain := RefreshStart(Stamp{})
		if got := f.AppendFields(nil, plain, v); got[0] != 0 {
			t.Errorf("got % x, want null for an event of another type", got)
		}
	})
}

// hierarchy adds event types below BaseEventType, each with the field Severity of its own.
func hierarchy(t *testing.T, s *addrspace.Space, count uint32) {
	t.Helper()
	var changes []addrspace.Change
	for n := range count {
		typ, field := num(10_000+2*n), num(10_001+2*n)
		name := func(text string) []addrspace.Attribute {
			return []addrspace.Attribute{{ID: ua.AttributeIDBrowseName, Value: appendName(
				[]byte{1, byte(ua.TypeIDQualifiedName)}, rawvalue.QualifiedName{Name: []byte(text)})}}
		}
		changes = append(changes,
			addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{ID: typ, Attributes: name("Type"),
				References: []addrspace.Reference{
					{Type: num(id.HasSubtype), Target: num(id.BaseEventType), Inverse: true},
					{Type: num(id.HasProperty), Target: field}}}},
			addrspace.Change{Kind: addrspace.AddReferences, Node: addrspace.Node{ID: num(id.BaseEventType),
				References: []addrspace.Reference{{Type: num(id.HasSubtype), Target: typ}}}},
			addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{ID: field, Attributes: name("Severity")}})
	}
	if _, err := s.Apply(changes); err != nil {
		t.Fatal(err)
	}
}

// The event types are searched once for all filters of a request, not for each of their clauses.
func TestUnknownFieldsTakeNoSearchOfAllEventTypes(t *testing.T) {
	s := types(t)
	const typeCount, clauseCount = 300, 1000
	hierarchy(t, s, typeCount)
	var clauses, repeated, nested []*ua.SimpleAttributeOperand
	for n := range clauseCount {
		clauses = append(clauses, clause(id.BaseEventType, fmt.Sprint("Nothing", n)))
		repeated = append(repeated, clause(id.BaseEventType, "Severity", "Nothing"))
		nested = append(nested, clause(id.BaseEventType, "Severity", fmt.Sprint("Nothing", n)))
	}
	s.View(func(v addrspace.View) {
		for name, c := range map[string]struct {
			list []*ua.SimpleAttributeOperand
			last ua.StatusCode
			most float64 // allocations of a clause
		}{
			"names that no type has":     {clauses, ua.StatusBadNodeIDUnknown, 30},
			"one path again and again":   {repeated, ua.StatusBadNodeIDUnknown, 30},
			"paths that all types begin": {nested, ua.StatusBadTooManyOperations, 600},
		} {
			t.Run(name, func(t *testing.T) {
				var fields Fields
				work := testing.AllocsPerRun(1, func() {
					_, result, status := fields.NewFilter(&ua.EventFilter{SelectClauses: c.list}, v, Limits{})
					if status != ua.StatusBadEventFilterInvalid ||
						result.SelectClauseResults[clauseCount-1] != c.last {
						t.Fatalf("got %v %v, want Bad_EventFilterInvalid %v", status,
							result.SelectClauseResults[clauseCount-1], c.last)
					}
				})
				if work /= clauseCount; work > c.most {
					t.Errorf("%v allocations of a clause for %d types, want at most %v", work, typeCount, c.most)
				}
			})
		}
	})
}
