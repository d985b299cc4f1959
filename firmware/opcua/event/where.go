package event

import (
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/ua"
)

type element struct {
	op       ua.FilterOperator
	operands []operand
	typ      rawvalue.NodeID // of OfType
	cast     ua.TypeID
}

// operand is a field, the result of an element, or else a literal.
type operand struct {
	field   *field
	element int // 0: none, because the first element cannot be an operand
	literal value
}

// setWhere compiles the where clause and sets the result of each element.
func (c *compiler) setWhere(where *ua.ContentFilter, result *ua.ContentFilterResult) ua.StatusCode {
	if where == nil || len(where.Elements) == 0 {
		return ua.StatusOK
	}
	operands := 0
	for _, e := range where.Elements {
		if e != nil {
			operands += len(e.FilterOperands)
		}
	}
	if len(where.Elements) > maxElements || operands > c.lim.Operands {
		return ua.StatusBadTooManyOperations
	}
	overall := ua.StatusOK
	for i, e := range where.Elements {
		r := &ua.ContentFilterElementResult{StatusCode: ua.StatusBadContentFilterInvalid}
		if e != nil {
			r.StatusCode = c.addElement(e, i, len(where.Elements), r)
		}
		if r.StatusCode != ua.StatusOK {
			overall = ua.StatusBadEventFilterInvalid
		}
		result.ElementResults = append(result.ElementResults, r)
	}
	return overall
}

func (c *compiler) addElement(e *ua.ContentFilterElement, at, count int,
	r *ua.ContentFilterElementResult) ua.StatusCode {
	least, most := arity(e.FilterOperator, c.lim)
	switch {
	case e.FilterOperator > ua.FilterOperatorBitwiseOr:
		return ua.StatusBadFilterOperatorInvalid
	case most == 0:
		return ua.StatusBadFilterOperatorUnsupported
	case len(e.FilterOperands) < least || len(e.FilterOperands) > most:
		return ua.StatusBadFilterOperandCountMismatch
	}
	made, overall := element{op: e.FilterOperator}, ua.StatusOK
	for _, x := range e.FilterOperands {
		o, status := c.newOperand(x, at, count)
		if status != ua.StatusOK {
			overall = ua.StatusBadFilterOperandInvalid
		}
		made.operands = append(made.operands, o)
		r.OperandStatusCodes = append(r.OperandStatusCodes, status)
	}
	last := len(made.operands) - 1
	literal := made.operands[last].literal.nodeID()
	switch {
	case overall != ua.StatusOK:
	case made.op == ua.FilterOperatorOfType:
		if made.typ = literal; literal == (rawvalue.NodeID{}) || !isEventType(literal, c.v) {
			r.OperandStatusCodes[last], overall = ua.StatusBadFilterOperandInvalid, ua.StatusBadFilterOperandInvalid
		}
	case made.op == ua.FilterOperatorCast:
		made.cast = ua.TypeID(literal.Number)
		if literal.Namespace != 0 || literal.Kind != rawvalue.Numeric || literal.Number > 25 ||
			precedence(made.cast) == 0 && made.cast != ua.TypeIDString {
			r.OperandStatusCodes[last], overall = ua.StatusBadFilterOperandInvalid, ua.StatusBadFilterOperandInvalid
		}
	}
	c.elements = append(c.elements, made)
	return overall
}

// arity returns the number of operands of an operator, 0 if it is unsupported.
func arity(op ua.FilterOperator, lim Limits) (least, most int) {
	switch op {
	case ua.FilterOperatorIsNull, ua.FilterOperatorNot, ua.FilterOperatorOfType:
		return 1, 1
	case ua.FilterOperatorBetween:
		return 3, 3
	case ua.FilterOperatorInList:
		return 2, lim.Operands
	case ua.FilterOperatorInView, ua.FilterOperatorRelatedTo:
		return 0, 0
	}
	return 2, 2
}

func (c *compiler) newOperand(x *ua.ExtensionObject, at, count int) (operand, ua.StatusCode) {
	if x == nil {
		return operand{}, ua.StatusBadFilterOperandInvalid
	}
	switch o := x.Value.(type) {
	case *ua.ElementOperand:
		if o.Index <= uint32(at) || o.Index >= uint32(count) { // later ones only: no cycles
			return operand{}, ua.StatusBadFilterElementInvalid
		}
		return operand{element: int(o.Index)}, ua.StatusOK
	case *ua.LiteralOperand:
		if o.Value == nil {
			return operand{}, ua.StatusOK
		}
		raw, err := o.Value.Encode()
		if err != nil || len(raw) > maxLiteral {
			return operand{}, ua.StatusBadFilterLiteralInvalid
		}
		return operand{literal: decode(raw)}, ua.StatusOK
	case *ua.SimpleAttributeOperand:
		fd, status := c.newField(o)
		return operand{field: &fd}, status
	case *ua.AttributeOperand:
		simple := &ua.SimpleAttributeOperand{TypeDefinitionID: o.NodeID, AttributeID: o.AttributeID,
			IndexRange: o.IndexRange}
		if o.BrowsePath != nil {
			for _, e := range o.BrowsePath.Elements {
				if e == nil || e.IsInverse {
					return operand{}, ua.StatusBadFilterOperandInvalid
				}
				simple.BrowsePath = append(simple.BrowsePath, e.TargetName)
			}
		}
		fd, status := c.newField(simple)
		return operand{field: &fd}, status
	}
	return operand{}, ua.StatusBadFilterOperandInvalid
}

// match is the evaluation of a where clause for one event.
type match struct {
	ev       *Event
	v        addrspace.View
	results  [maxElements]value
	likeWork int // left, see maxLikeWork
}

func (o *operand) value(m *match) value {
	switch {
	case o.element > 0:
		return m.results[o.element]
	case o.field == nil:
		return o.literal
	case o.field.indexRange.Whole():
		return decode(o.field.rawValue(m.ev, m.v))
	}
	return decode(o.field.append(nil, m.ev, m.v))
}

// logic is the value of a condition (OPC 10000-4 §7.7.3).
type logic int

const (
	no logic = iota
	unknown
	yes
)

func logicOf(x value) logic {
	if x, ok := convert(x, ua.TypeIDBoolean); ok {
		return logic(x.n) * yes
	}
	return unknown
}

func (l logic) value() value {
	if l == unknown {
		return value{}
	}
	return boolean(l == yes)
}

// evaluate returns the result of an element. A comparison of values that cannot be compared is
// FALSE, as the standard has it for Equals; otherwise null stays null.
func (e *element) evaluate(m *match) value {
	var x [3]value
	for i := range min(len(e.operands), len(x)) {
		x[i] = e.operands[i].value(m)
	}
	order, equal, ordered := compare(x[0], x[1])
	switch e.op {
	case ua.FilterOperatorEquals:
		return boolean(equal)
	case ua.FilterOperatorIsNull:
		return boolean(x[0].t == 0)
	case ua.FilterOperatorGreaterThan:
		return boolean(ordered && order > 0)
	case ua.FilterOperatorLessThan:
		return boolean(ordered && order < 0)
	case ua.FilterOperatorGreaterThanOrEqual:
		return boolean(ordered && order >= 0)
	case ua.FilterOperatorLessThanOrEqual:
		return boolean(ordered && order <= 0)
	case ua.FilterOperatorBetween:
		high, _, ok := compare(x[0], x[2])
		return boolean(ordered && ok && order >= 0 && high <= 0)
	case ua.FilterOperatorLike:
		s, ok := convert(x[0], ua.TypeIDString)
		p, fine := convert(x[1], ua.TypeIDString)
		return boolean(ok && fine && matchLike(s.b, p.b, &m.likeWork))
	case ua.FilterOperatorInList:
		for i := 1; i < len(e.operands) && !equal; i++ {
			_, equal, _ = compare(x[0], e.operands[i].value(m))
		}
		return boolean(equal)
	case ua.FilterOperatorNot:
		return (yes - logicOf(x[0])).value()
	case ua.FilterOperatorAnd:
		return min(logicOf(x[0]), logicOf(x[1])).value()
	case ua.FilterOperatorOr:
		return max(logicOf(x[0]), logicOf(x[1])).value()
	case ua.FilterOperatorOfType:
		return boolean(m.ev.isOfType(e.typ, m.v))
	case ua.FilterOperatorCast:
		if y, ok := convert(x[0], e.cast); ok {
			return y
		}
		return value{}
	}
	return bitwise(e.op, x[0], x[1])
}

func bitwise(op ua.FilterOperator, x, y value) value {
	t := x.t
	if precedence(y.t) > precedence(t) {
		t = y.t
	}
	x, ok := convert(x, t)
	y, fine := convert(y, t)
	if !ok || !fine || precedence(t) == 0 || t == ua.TypeIDDouble || t == ua.TypeIDFloat || t == ua.TypeIDBoolean {
		return value{}
	}
	if op == ua.FilterOperatorBitwiseAnd {
		return value{t: t, n: x.n & y.n}
	}
	return value{t: t, n: x.n | y.n}
}
