package event

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
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
