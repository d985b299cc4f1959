package addrspace

import "github.com/gopcua/opcua/ua"

// Filter says which references Browse returns. The zero value is all that lead
// forward.
type Filter struct {
	Direction ua.BrowseDirection
	Type      NodeID // null: of every type
	Subtypes  bool   // and of the types below it
	Classes   uint32 // of nodes of these classes, or'ed; 0: of every class. Else the far node must be here
}

// Found is a reference that Browse found.
type Found struct {
	Reference
	Node   Ref  // the far node
	Exists bool // and whether it is here
}

// matcher is a Filter in numbers.
type matcher struct {
	t       *table
	filter  Filter
	kind    Ref
	every   bool // type
	none    bool
	last    Ref // the type asked last, and what came of it
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

func (m *matcher) fits(e edge) bool {
	switch {
	case m.none:
		return false
	case m.filter.Direction == ua.BrowseDirectionForward && e.inverse():
		return false
	case m.filter.Direction == ua.BrowseDirectionInverse && !e.inverse():
		return false
	case !m.every && !m.fitsType(e.refType()):
		return false
	}
	return m.filter.Classes == 0 || m.filter.Classes&uint32(m.t.entries[e.target].class) != 0
}

func (m *matcher) fitsType(kind Ref) bool {
	if kind == m.kind || !m.filter.Subtypes {
		return kind == m.kind
	}
	if !m.asked || m.last != kind {
		m.last, m.lastFit, m.asked = kind, m.t.isSubtype(kind, m.kind), true
	}
	return m.lastFit
}

// Degree returns how many references a node lists: what a Browse of it costs.
func (v View) Degree(node Ref) int { return len(v.t.entries[node].edges) }

// Browse appends the references of a node that pass the filter, from position from
// on, at most so many; 0 is no limit. It returns the position to go on from, −1 at
// the end. A position is good for one Version.
func (v View) Browse(dst []Found, node Ref, f Filter, from, most int) ([]Found, int) {
	m := v.t.matcher(f)
	edges := v.t.entries[node].edges
	n := 0
	for i := max(0, from); i < len(edges); i++ {
		e := edges[i]
		if !m.fits(e) {
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
