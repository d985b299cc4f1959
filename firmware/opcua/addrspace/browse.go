package addrspace

import "github.com/gopcua/opcua/ua"

// Filter selects the references that Browse returns. The zero value selects all forward
// ones.
type Filter struct {
	Direction ua.BrowseDirection
	Type      NodeID // null: of every type
	Subtypes  bool   // and of the types below it
	Classes   uint32 // mask of the target's classes, and the target must exist; 0: all, also missing targets
}

// Found is a reference that Browse found.
type Found struct {
	Reference
	Node   Ref  // the target
	Exists bool // whether the target exists here
}

// matcher is a Filter with NodeIds resolved to numbers.
type matcher struct {
	t       *table
	filter  Filter
	kind    Ref
	every   bool // type
	none    bool
	last    Ref // the type checked last, and the result
	lastFit bool
	asked   bool
}

func (t *table) matcher(f Filter) matcher {
	m := matcher{t: t, filter: f, every: f.Type == NodeID{}}
	if !m.every {
		var ok bool
		m.kind, ok = t.find(f.Type)
		m.none = !ok
	}
	return m
}

func (m *matcher) matches(e edge) bool {
	switch {
	case m.none:
		return false
	case m.filter.Direction == ua.BrowseDirectionForward && e.inverse():
		return false
	case m.filter.Direction == ua.BrowseDirectionInverse && !e.inverse():
		return false
	case !m.every && !m.matchesType(e.refType()):
		return false
	}
	return m.filter.Classes == 0 || m.filter.Classes&uint32(m.t.entries[e.target].class) != 0
}

func (m *matcher) matchesType(kind Ref) bool {
	if kind == m.kind || !m.filter.Subtypes {
		return kind == m.kind
	}
	if !m.asked || m.last != kind {
		m.last, m.lastFit, m.asked = kind, m.t.isSubtype(kind, m.kind), true
	}
	return m.lastFit
}

// Degree returns the number of references of a node, which is the cost of browsing it.
func (v View) Degree(node Ref) int { return len(v.t.entries[node].edges) }

// Browse appends the references of a node that the filter selects, from position from on; most
// bounds their number, 0 is no limit. It returns the position to continue from, −1 at the end. A
// position is valid for one Version.
func (v View) Browse(dst []Found, node Ref, f Filter, from, most int) ([]Found, int) {
	m := v.t.matcher(f)
	edges := v.t.entries[node].edges
	n := 0
	for i := max(0, from); i < len(edges); i++ {
		e := edges[i]
		if !m.matches(e) {
			continue
		}
		if n == most && most > 0 {
			return dst, i
		}
		n++
		found := Found{Reference: v.t.target(e), Node: e.target, Exists: v.t.entries[e.target].exists}
		found.Type, found.Inverse = v.t.entries[e.refType()].id(), e.inverse()
		dst = append(dst, found)
	}
	return dst, -1
}
