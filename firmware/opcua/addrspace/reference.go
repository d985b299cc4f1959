package addrspace

import (
	"slices"

	"github.com/gopcua/opcua/id"
)

// Reference is a reference in the list of a node.
type Reference struct {
	Type     NodeID
	Target   NodeID
	External string // the bytes of an ExpandedNodeId of another server's node; Target is null then
	Inverse  bool   // leads from the target to the node
}

// edge is a Reference with NodeIds resolved to numbers.
type edge struct {
	kind   uint32 // number of the type, shifted left; 1 is inverse
	target Ref
}

func (e edge) refType() Ref  { return Ref(e.kind >> 1) }
func (e edge) inverse() bool { return e.kind&1 != 0 }

func (r Reference) key() NodeID {
	if r.External != "" {
		return NodeID{Text: r.External, Kind: external}
	}
	return r.Target
}

// edgeOf returns the edge of a reference, and interns its NodeIds.
func (t *table) edgeOf(r Reference) edge {
	e := edge{kind: uint32(t.intern(r.Type)) << 1, target: t.intern(r.key())}
	if r.Inverse {
		e.kind |= 1
	}
	return e
}

// findEdge is edgeOf without interning.
func (t *table) findEdge(r Reference) (e edge, ok bool) {
	kind, ok1 := t.find(r.Type)
	target, ok2 := t.find(r.key())
	if e = (edge{uint32(kind) << 1, target}); r.Inverse {
		e.kind |= 1
	}
	return e, ok1 && ok2
}

// addEdges adds the edges that a node does not have, and returns how many.
func (t *table) addEdges(node Ref, references []Reference) int {
	known := map[edge]bool(nil)
	added := 0
	for _, r := range references {
		e := t.edgeOf(r)
		edges := t.entries[node].edges
		if known == nil && len(references) > 8 {
			known = make(map[edge]bool, len(edges)+len(references))
			for _, old := range edges {
				known[old] = true
			}
		}
		switch {
		case t.entries[e.target].uses == 0: // no edge can have it
		case known == nil && slices.Contains(edges, e), known[e]:
			continue // both ends are in use, there is nothing to release
		}
		if known != nil {
			known[e] = true
		}
		if edges == nil {
			edges = make([]edge, 0, len(references))
		}
		t.entries[node].edges = append(edges, e)
		t.link(node, e)
		added++
	}
	return added
}

// removeEdges removes the edges that a node has, and returns how many.
func (t *table) removeEdges(node Ref, references []Reference) int {
	gone := make(map[edge]bool, len(references))
	for _, r := range references {
		if e, ok := t.findEdge(r); ok {
			gone[e] = true
		}
	}
	return t.keepEdges(node, func(e edge) bool { return !gone[e] })
}

// keepEdges keeps some of a node's edges, and returns how many it removed.
func (t *table) keepEdges(node Ref, keep func(edge) bool) int {
	var dropped []edge
	kept := t.entries[node].edges[:0]
	for _, e := range t.entries[node].edges {
		if keep(e) {
			kept = append(kept, e)
		} else {
			dropped = append(dropped, e)
		}
	}
	if len(kept) == 0 {
		kept = nil
	}
	t.entries[node].edges = kept
	for _, e := range dropped {
		t.unlink(node, e)
	}
	return len(dropped)
}

// link counts the uses of a new edge, and adds it to the type tree.
func (t *table) link(node Ref, e edge) {
	t.entries[e.refType()].uses++
	t.entries[e.target].uses++
	if sub, super, ok := t.subtyping(node, e); ok {
		t.supers[sub] = append(t.supers[sub], super)
	}
}

func (t *table) unlink(node Ref, e edge) {
	if sub, super, ok := t.subtyping(node, e); ok {
		if i := slices.Index(t.supers[sub], super); i >= 0 {
			t.supers[sub] = slices.Delete(t.supers[sub], i, i+1)
		}
		if len(t.supers[sub]) == 0 {
			delete(t.supers, sub)
		}
	}
	t.unuse(e.refType())
	t.unuse(e.target)
}

// subtyping returns the types that a HasSubtype edge relates, in either direction.
func (t *table) subtyping(node Ref, e edge) (sub, super Ref, ok bool) {
	if t.entries[e.refType()].id() != (NodeID{Number: id.HasSubtype}) {
		return 0, 0, false
	}
	if e.inverse() {
		return node, e.target, true
	}
	return e.target, node, true
}

// deepestType is our own choice: no chain of subtypes is that long, only a loop.
const deepestType = 64

// isSubtype reports whether a type is the same as another or a subtype of it.
func (t *table) isSubtype(sub, super Ref) bool {
	for range deepestType {
		if sub == super {
			return true
		}
		above := t.supers[sub]
		if len(above) == 0 {
			return false
		}
		sub = above[0]
	}
	return false
}
