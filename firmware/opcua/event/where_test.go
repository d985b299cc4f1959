package event

import (
	"math"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
)

func TestWhereClauseDecides(t *testing.T) {
	severityName := &ua.QualifiedName{Name: "Severity"}
	severityPath := &ua.RelativePath{Elements: []*ua.RelativePathElement{{TargetName: severityName}}}
	severity, message := clause(id.BaseEventType, "Severity"), clause(id.BaseEventType, "Message")
	enabled := clause(id.ConditionType, "EnabledState", "Id")
	ref := func(i uint32) *ua.ElementOperand { return &ua.ElementOperand{Index: i} }
	type E = *ua.ContentFilterElement
	tests := map[string]struct {
		where []E
		want  bool
	}{
		"equal":                     {[]E{el(0, severity, uint16(700))}, true},
		"equal across types":        {[]E{el(0, severity, 700.0)}, true},
		"equal to a text of digits": {[]E{el(0, severity, "700")}, true},
		"not equal to a text":       {[]E{el(0, severity, "many")}, false},
		"negative against unsigned": {[]E{el(2, uint64(math.MaxUint64), int64(-1))}, false},
		"absent is null":            {[]E{el(1, enabled)}, true},
		"present is not null":       {[]E{el(1, severity)}, false},
		"null is not equal to null": {[]E{el(0, enabled, nil)}, false},
		"greater":                   {[]E{el(2, severity, uint16(699))}, true},
		"less":                      {[]E{el(3, severity, uint16(700))}, false},
		"greater or equal":          {[]E{el(4, severity, uint16(700))}, true},
		"less or equal":             {[]E{el(5, severity, int32(699))}, false},
		"like":                      {[]E{el(6, message, "%is f_ll")}, true},
		"not":                       {[]E{el(7, ref(1)), el(0, severity, uint16(1))}, true},
		"not of unknown":            {[]E{el(7, enabled)}, false},
		"between":                   {[]E{el(8, severity, uint16(700), uint16(800))}, true},
		"in list":                   {[]E{el(9, severity, uint16(1), "x", nil, uint16(700))}, true},
		"not in list":               {[]E{el(9, severity, uint16(1), uint16(2))}, false},
		"and of unknown and false":  {[]E{el(7, ref(1)), el(10, enabled, false)}, true},
		"and of unknown and true":   {[]E{el(10, enabled, true)}, false},
		"or of unknown and true":    {[]E{el(11, enabled, true)}, true},
		"cast": {[]E{el(0, ref(1), "700"), el(12, severity, ua.NewNumericNodeID(0, 12))},
			true},
		"cast of a long text": {[]E{el(1, ref(1)), el(12, strings.Repeat("0", 4000), ua.NewNumericNodeID(0, 6))},
			true},
		"cast that does not fit":     {[]E{el(1, ref(1)), el(12, severity, ua.NewNumericNodeID(0, 3))}, true},
		"of the type":                {[]E{el(14, ua.NewNumericNodeID(0, id.ConditionType))}, true},
		"of a supertype":             {[]E{el(14, ua.NewNumericNodeID(0, id.BaseEventType))}, true},
		"bits in common":             {[]E{el(0, ref(1), uint16(4)), el(16, severity, uint16(4))}, true},
		"bits of both":               {[]E{el(0, ref(1), uint16(701)), el(17, severity, uint16(1))}, true},
		"bits of no number":          {[]E{el(1, ref(1)), el(16, severity, 1.5)}, true},
		"NaN is not equal to itself": {[]E{el(0, math.NaN(), math.NaN())}, false},
		"attribute operand as a simple": {[]E{el(0,
			&ua.AttributeOperand{NodeID: ua.NewNumericNodeID(0, id.BaseEventType), AttributeID: 13,
				BrowsePath: severityPath}, uint16(700))}, true},
	}
	ev := alarm(t, "1", true)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			types(t).View(func(v addrspace.View) {
				f, result, status := NewFilter(where(tt.where...), v, Limits{})
				if status != ua.StatusOK {
					t.Fatalf("got %v %+v, want Good", status, result.WhereClauseResult.ElementResults[0])
				}
				if got := f.Match(ev, v); got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestWhereClauseIsValidated(t *testing.T) {
	tests := map[string]struct {
		e             *ua.ContentFilterElement
		want, operand ua.StatusCode
	}{
		"unknown operator": {el(18, 1.0), ua.StatusBadFilterOperatorInvalid, 0},
		"InView":           {el(13, 1.0), ua.StatusBadFilterOperatorUnsupported, 0},
		"RelatedTo":        {el(15, 1.0), ua.StatusBadFilterOperatorUnsupported, 0},
		"too few operands": {el(0, 1.0), ua.StatusBadFilterOperandCountMismatch, 0},
		"element names itself": {el(7, &ua.ElementOperand{}), ua.StatusBadFilterOperandInvalid,
			ua.StatusBadFilterElementInvalid},
		"element beyond the end": {el(7, &ua.ElementOperand{Index: 1}), ua.StatusBadFilterOperandInvalid,
			ua.StatusBadFilterElementInvalid},
		"OfType of no type": {el(14, ua.NewNumericNodeID(0, 9000)), ua.StatusBadFilterOperandInvalid,
			ua.StatusBadFilterOperandInvalid},
		"unknown field": {el(1, clause(id.BaseEventType, "Nothing")), ua.StatusBadFilterOperandInvalid,
			ua.StatusBadNodeIDUnknown},
		"literal that is too long": {el(6, strings.Repeat("a", maxLiteral), "%a"), ua.StatusBadFilterOperandInvalid,
			ua.StatusBadFilterLiteralInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			types(t).View(func(v addrspace.View) {
				_, result, status := NewFilter(where(tt.e), v, Limits{})
				r := result.WhereClauseResult.ElementResults[0]
				if status != ua.StatusBadEventFilterInvalid || r.StatusCode != tt.want {
					t.Errorf("got %v %v, want Bad_EventFilterInvalid %v", status, r.StatusCode, tt.want)
				}
				if tt.operand != 0 && r.OperandStatusCodes[0] != tt.operand {
					t.Errorf("got operand %v, want %v", r.OperandStatusCodes[0], tt.operand)
				}
			})
		})
	}
}

func TestInListTakesManyOperands(t *testing.T) {
	inList := func(n int) *ua.EventFilter {
		operands := []any{float64(n)}
		for i := range n {
			operands = append(operands, float64(i+1))
		}
		return where(el(ua.FilterOperatorInList, operands...))
	}
	types(t).View(func(v addrspace.View) {
		f, _, status := NewFilter(inList(1999), v, Limits{})
		if status != ua.StatusOK {
			t.Fatalf("1,999 literals: %v, want Good", status)
		}
		if !f.Match(&Event{}, v) {
			t.Error("the last of 1,999 literals does not match")
		}
		if _, _, status := NewFilter(inList(2000), v, Limits{}); status != ua.StatusBadTooManyOperations {
			t.Errorf("2,001 operands: %v, want Bad_TooManyOperations", status)
		}
	})
}
