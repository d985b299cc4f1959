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

// Our own choices for the where clause.
const (
	maxElements = 64 // their results stand on the stack
	// maxLiteral is the size of a literal, bytes as encoded. Every event is compared with it, by up to
	// 64 elements, and names, numbers and patterns are much shorter.
	maxLiteral = 4 << 10
	// maxNumber is the longest text that is converted to a number, bytes: a Double has at most 1080
	// characters when it is written out, and the text may be a large field of an event.
	maxNumber = 2 << 10
	// maxLikeWork is what all Like elements take for one event, bytes of their patterns that are
	// compared: less than a millisecond, and enough to search a text of 60 kB for a word.
	maxLikeWork = 64 << 10
)

// Filter is an EventFilter: select clauses and a where clause. It is immutable.
type Filter struct {
	fields   []field
	elements []element
}

type field struct {
	key        string // "": always null
	typ        rawvalue.NodeID
	indexRange rawvalue.Range
}

// compiler makes a Filter.
type compiler struct {
	Filter
	*Fields
	v   addrspace.View
	lim Limits
}

// NewFilter compiles a filter on its own.
func NewFilter(f *ua.EventFilter, v addrspace.View, lim Limits) (*Filter, *ua.EventFilterResult, ua.StatusCode) {
	return new(Fields).NewFilter(f, v, lim)
}

// NewFilter compiles a filter. A bad select clause has its code in the result and yields null;
// at least one must be good, and the where clause must be valid.
func (x *Fields) NewFilter(f *ua.EventFilter, v addrspace.View, lim Limits) (*Filter, *ua.EventFilterResult,
	ua.StatusCode) {
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
	made, good := &compiler{Fields: x, v: v, lim: lim}, false
	for _, clause := range f.SelectClauses {
		fd, status := made.newField(clause)
		good = good || status == ua.StatusOK
		made.fields = append(made.fields, fd)
		result.SelectClauseResults = append(result.SelectClauseResults, status)
	}
	status := made.setWhere(f.WhereClause, result.WhereClauseResult)
	if status == ua.StatusOK && !good {
		status = ua.StatusBadEventFilterInvalid
	}
	if status != ua.StatusOK {
		return nil, result, status
	}
	return &made.Filter, result, ua.StatusOK
}

func (c *compiler) newField(s *ua.SimpleAttributeOperand) (field, ua.StatusCode) {
	if s == nil || len(s.BrowsePath) > maxPath {
		return field{}, ua.StatusBadNodeIDUnknown
	}
	typ, err := rawvalue.FromUA(s.TypeDefinitionID)
	if err != nil || !isEventType(typ, c.v) {
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
	if code := c.declared(o, c.v); code != ua.StatusOK {
		return field{}, code
	}
	return field{key: o.key(), typ: typ, indexRange: part}, ua.StatusOK
}

func isEventType(t rawvalue.NodeID, v addrspace.View) bool {
	root := rawvalue.NodeID{Number: id.BaseEventType}
	return t == rawvalue.NodeID{} || t == root || v.IsSubtype(t, root)
}

// Match reports whether the event passes the where clause.
func (f *Filter) Match(ev *Event, v addrspace.View) bool {
	if len(f.elements) == 0 {
		return true
	}
	m := match{ev: ev, v: v, likeWork: maxLikeWork}
	for i := len(f.elements) - 1; i >= 0; i-- { // operands name later elements only
		m.results[i] = f.elements[i].evaluate(&m)
	}
	return logicOf(m.results[0]) == yes
}

// Len returns the number of fields that AppendFields appends.
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
	raw := fd.rawValue(ev, v)
	if raw == nil {
		return append(dst, 0)
	}
	if fd.indexRange.Whole() {
		return append(dst, raw...)
	}
	x, err := rawvalue.SkimVariant(raw, rawvalue.Limits{})
	if err != nil {
		return append(dst, 0)
	}
	before := len(dst)
	if dst, err = fd.indexRange.Append(dst, x); err != nil {
		return append(dst[:before], 0)
	}
	return dst
}

func (fd *field) rawValue(ev *Event, v addrspace.View) []byte {
	if fd.key == "" || !ev.isOfType(fd.typ, v) {
		return nil
	}
	return ev.rawField(fd.key)
}
