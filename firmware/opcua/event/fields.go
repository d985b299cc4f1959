package event

import (
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Fields finds which fields the event types declare. It searches the types once, and so compiles
// all filters of one request: a client may send a hundred thousand clauses, each of which would
// be searched for in all types. The zero value is ready for use, by one goroutine.
type Fields struct {
	types    map[string][]rawvalue.NodeID // by a child's BrowseName, those that have the child
	known    map[string]bool              // what declared has found, by the operand's type and key
	searched int                          // types, for paths
}

// maxSearched bounds the types that are searched for the paths of one request, each in about a
// microsecond. A hundred paths that each begin at all of 500 types are within it.
const maxSearched = 50_000

// declared returns Good if an event of the operand's type may have the field. While the address
// space has no event types every field passes.
func (x *Fields) declared(o Operand, v addrspace.View) ua.StatusCode {
	root := rawvalue.NodeID{Number: id.BaseEventType}
	if _, ok := v.Lookup(root); !ok || len(o.Path) == 0 {
		return ua.StatusOK
	}
	if x.types == nil {
		x.search(v)
	}
	types := x.types[nameKey(o.Path[0])]
	if len(types) == 0 {
		return ua.StatusBadNodeIDUnknown
	}
	if o.Type == (rawvalue.NodeID{}) {
		o.Type = root
	}
	key := string(o.Type.AppendTo(nil)) + o.key()
	found, ok := x.known[key]
	if !ok {
		if x.searched += len(types); x.searched > maxSearched {
			return ua.StatusBadTooManyOperations
		}
		found = anyHas(types, o, v)
		x.known[key] = found
	}
	if !found {
		return ua.StatusBadNodeIDUnknown
	}
	return ua.StatusOK
}

// search lists the names of all event types' children.
func (x *Fields) search(v addrspace.View) {
	x.types, x.known = map[string][]rawvalue.NodeID{}, map[string]bool{}
	root := rawvalue.NodeID{Number: id.BaseEventType}
	children := addrspace.Filter{Type: rawvalue.NodeID{Number: id.Aggregates}, Subtypes: true}
	for _, t := range append(subtypes(root, v), supertypes(root, v)[1:]...) {
		r, ok := v.Lookup(t)
		if !ok {
			continue
		}
		found, _ := v.Browse(nil, r, children, 0, maxTypes)
		for _, f := range found {
			if name, ok := browseName(v, f.Node); ok && f.Exists {
				key := nameKey(name)
				x.types[key] = append(x.types[key], t)
			}
		}
	}
}

// anyHas reports whether the path begins at the operand's type, a subtype or a supertype of it.
func anyHas(types []rawvalue.NodeID, o Operand, v addrspace.View) bool {
	path := make([]addrspace.Element, len(o.Path))
	for i, n := range o.Path {
		path[i] = addrspace.Element{Type: rawvalue.NodeID{Number: id.Aggregates}, Subtypes: true, Name: n}
	}
	for _, t := range types {
		if !v.IsSubtype(t, o.Type) && !v.IsSubtype(o.Type, t) {
			continue
		}
		if _, status := v.Translate(t, path, 1000); status == ua.StatusOK {
			return true
		}
	}
	return false
}

func nameKey(n rawvalue.QualifiedName) string { return string(appendName(nil, n)) }
