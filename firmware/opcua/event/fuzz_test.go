package event

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
)

// FuzzFilter builds filters of three elements out of bytes; none may panic, and
// one and its negation never both match.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{0, 1, 2, 10, 3, 4, 8, 5, 6, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		pool := []any{clause(id.BaseEventType, "Severity"), clause(id.BaseEventType, "Message"),
			clause(id.ConditionType, "EnabledState", "Id"),
			nil, uint16(700), "7%", -1.5, true, []int32{1}, ua.NewNumericNodeID(0, 12), &ua.ElementOperand{Index: 2},
			&ua.ElementOperand{Index: 3}}
		elements := []*ua.ContentFilterElement{el(ua.FilterOperatorNot, &ua.ElementOperand{Index: 1})}
		for len(b) > 3 && len(elements) < 4 {
			n := min(1+int(b[1]%3), len(b)-2)
			var operands []any
			for _, x := range b[2 : 2+n] {
				operands = append(operands, pool[int(x)%len(pool)])
			}
			elements = append(elements, el(ua.FilterOperator(b[0]%19), operands...))
			b = b[2+n:]
		}
		ev := alarm(t, "1", true)
		types(t).View(func(v addrspace.View) {
			filter, _, status := NewFilter(where(elements...), v, Limits{})
			if status != ua.StatusOK {
				return
			}
			negated := filter.Match(ev, v)
			or := *filter
			or.elements = append([]element{}, filter.elements...)
			or.elements[0] = element{op: ua.FilterOperatorOr, operands: []operand{{element: 1}, {element: 1}}}
			if plain := or.Match(ev, v); plain && negated {
				t.Errorf("got %v and its negation %v, want at most one", plain, negated)
			}
		})
	})
}
