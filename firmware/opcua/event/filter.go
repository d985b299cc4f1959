package event

import (
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// The default Limits, which servers announce in their capabilities.
const (
	DefaultSelectClauses = 1000
	DefaultOperands      = 2000 // opcua-asyncio's clients list every subtype of an event type
)

// Limits bounds a filter. The zero value of each field means its default.
type Limits struct {
	Select   int // clauses
	Operands int // of the where clause, all elements together
}

// maxElements bounds the where clause: its results stand on the stack.
const maxElements = 64

// Filter selects fields of events, and says which events count. It does not change.
type Filter struct {
	fields   []field
	elements []element
}

type field struct {
	key  string // empty: no event has it
	typ  rawvalue.NodeID
	part rawvalue.Range
}

// NewFilter makes a filter. A select clause that no event can answer is told in
// the result and yields null; one clause must be good, and the where clause all.
func NewFilter(f *ua.EventFilter, v addrspace.View, lim Limits) (*Filter, *ua.EventFilterResult, ua.StatusCode) {
	if lim.Select == 0 {
		lim.Select = DefaultSelectClauses
	}
	if lim.Operands == 0 {
		lim.Operands = DefaultOperands
	}
	result := &ua.EventFilterResult{WhereClauseResult: &ua.ContentFilterResult{}}
	if f == nil || len(f.SelectClauses) == 0 {
		return nil, result, ua.StatusBadEventFilterInvalid
	}
	if len(f.SelectClauses) > lim.Select {
		return nil, result, ua.StatusBadTooManyOperations
	}
	made, good := &Filter{}, false
	for _, clause := range f.SelectClauses {
		fd, status := newField(clause, v)
		good = good || status == ua.StatusOK
		made.fields = append(made.fields, fd)
		result.SelectClauseResults = append(result.SelectClauseResults, status)
	}
	status := made.where(f.WhereClause, v, lim, result.WhereClauseResult)
	if status == ua.StatusOK && !good {
		status = ua.StatusBadEventFilterInvalid
	}
	if status != ua.StatusOK {
		return nil, result, status
	}
	return made, result, ua.StatusOK
}

func newField(s *ua.SimpleAttributeOperand, v addrspace.View) (field, ua.StatusCode) {
	if s == nil || len(s.BrowsePath) > maxPath {
		return field{}, ua.StatusBadNodeIDUnknown
	}
	typ, err := rawvalue.FromUA(s.TypeDefinitionID)
	if err != nil || !isEventType(typ, v) {
		return field{}, ua.StatusBadTypeDefinitionInvalid
	}
	o := Operand{Type: typ, Attribute: s.AttributeID}
	for _, n := range s.BrowsePath {
		if n == nil || n.Name == "" {
			return field{}, ua.StatusBadBrowseNameInvalid
		}
		o.Path = append(o.Path, rawvalue.QualifiedName{Namespace: n.NamespaceIndex, Name: []byte(n.Name)})
	}
	if s.AttributeID < ua.AttributeIDNodeID || s.AttributeID > ua.AttributeIDAccessLevelEx {
		return field{}, ua.StatusBadAttributeIDInvalid
	}
	part, err := rawvalue.ParseRange(s.IndexRange)
	if err != nil || !part.Whole() && s.AttributeID != ua.AttributeIDValue {
		return field{}, ua.StatusBadIndexRangeInvalid
	}
	if !declared(o, v) {
		return field{}, ua.StatusBadNodeIDUnknown
	}
	return field{key: o.key(), typ: typ, part: part}, ua.StatusOK
}

func isEventType(t rawvalue.NodeID, v addrspace.View) bool {
	root := rawvalue.NodeID{Number: id.BaseEventType}
	return t == rawvalue.NodeID{} || t == root || v.IsSubtype(t, root)
}

// declared tells whether some event of the operand's type may have the field.
// Nothing can be said against it while the event types are not there.
func declared(o Operand, v addrspace.View) bool {
	root := rawvalue.NodeID{Number: id.BaseEventType}
	if _, ok := v.Lookup(root); !ok || len(o.Path) == 0 {
		return true
	}
	path := make([]addrspace.Element, len(o.Path))
	for i, n := range o.Path {
		path[i] = addrspace.Element{Type: rawvalue.NodeID{Number: id.Aggregates}, Subtypes: true, Name: n}
	}
	at := func(t rawvalue.NodeID) bool {
		_, status := v.Translate(t, path, 1000)
		return status == ua.StatusOK
	}
	if o.Type == (rawvalue.NodeID{}) {
		o.Type = root
	}
	for _, t := range append(subtypes(o.Type, v), supertypes(o.Type, v)...) {
		if at(t) {
			return true
		}
	}
	return false
}

// Match tells whether the event passes the where clause.
func (f *Filter) Match(ev *Event, v addrspace.View) bool {
	if len(f.elements) == 0 {
		return true
	}
	var results [maxElements]value
	for i := len(f.elements) - 1; i >= 0; i-- { // operands name later elements only
		results[i] = f.elements[i].evaluate(ev, v, &results)
	}
	return truth(results[0]) == yes
}

// Len returns how many fields AppendFields appends.
func (f *Filter) Len() int { return len(f.fields) }

// AppendFields appends the EventFields of an EventFieldList without its length:
// one Variant for each select clause.
func (f *Filter) AppendFields(dst []byte, ev *Event, v addrspace.View) []byte {
	for i := range f.fields {
		dst = f.fields[i].append(dst, ev, v)
	}
	return dst
}

func (fd *field) append(dst []byte, ev *Event, v addrspace.View) []byte {
	raw := fd.raw(ev, v)
	if raw == nil {
		return append(dst, 0)
	}
	if fd.part.Whole() {
		return append(dst, raw...)
	}
	x, err := rawvalue.SkimVariant(raw, rawvalue.Limits{})
	if err != nil {
		return append(dst, 0)
	}
	before := len(dst)
	if dst, err = fd.part.Append(dst, x); err != nil {
		return append(dst[:before], 0)
	}
	return dst
}

func (fd *field) raw(ev *Event, v addrspace.View) []byte {
	if fd.key == "" || !ev.is(fd.typ, v) {
		return nil
	}
	return ev.first(fd.key)
}
