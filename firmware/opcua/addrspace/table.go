package addrspace

import (
	"hash/maphash"
	"slices"

	"github.com/gopcua/opcua/ua"
)

// Node is a node of the source.
type Node struct {
	ID         NodeID
	Attributes []Attribute
	References []Reference
}

// table is an address space without its lock.
type table struct {
	identities
	values shared
	supers map[Ref][]Ref // type → its supertypes, once for each edge
	live   int
}

func newTable() *table {
	seed := maphash.MakeSeed()
	return &table{identities: identities{seed: seed}, values: shared{seed: seed}, supers: map[Ref][]Ref{}}
}

// node returns the number of an existing node.
func (t *table) node(id NodeID) (Ref, bool) {
	r, ok := t.find(id)
	return r, ok && t.entries[r].exists
}

// put makes a node equal to n, and returns what that changed.
func (t *table) put(n Node) Affected {
	a := Affected{Node: n.ID}
	r, known := t.node(n.ID)
	if !known {
		r = t.intern(n.ID)
		t.entries[r].exists = true
		t.live++
		a.Verb |= NodeAdded
	}
	attributes := t.setAttributes(r, merge(nil, n.Attributes))
	added := t.addEdges(r, n.References)
	if !known {
		return t.typed(a, r)
	}
	a.Verb |= attributes.Verb
	a.Attributes = attributes.Attributes
	if added > 0 {
		a.Verb |= ReferenceAdded
	}
	at := make(map[edge]int, len(n.References))
	for i, reference := range n.References {
		e, _ := t.findEdge(reference)
		if _, twice := at[e]; !twice {
			at[e] = i
		}
	}
	if t.keepEdges(r, func(e edge) bool { _, listed := at[e]; return listed }) > 0 {
		a.Verb |= ReferenceDeleted
	}
	if order := func(x, y edge) int { return at[x] - at[y] }; !slices.IsSortedFunc(t.entries[r].edges, order) {
		slices.SortFunc(t.entries[r].edges, order)
		if a.Verb&(ReferenceAdded|ReferenceDeleted) == 0 { // moved references, which clients see as both
			a.Verb |= ReferenceAdded | ReferenceDeleted
		}
	}
	return t.typed(a, r)
}

// setAttributes replaces the attributes of a node.
func (t *table) setAttributes(r Ref, attributes []Attribute) Affected {
	slices.SortStableFunc(attributes, func(a, b Attribute) int { return int(a.ID) - int(b.ID) })
	e := &t.entries[r]
	before, had := t.values.appendAttribute(nil, e, ua.AttributeIDDataType)
	old := e.attrs
	packed := t.values.pack(e.id(), attributes)
	t.values.releaseAll(old)
	if packed == old {
		return Affected{}
	}
	e.attrs = packed
	class, _ := t.values.appendAttribute(nil, e, ua.AttributeIDNodeClass)
	e.class = nodeClass(class)
	a := Affected{Attributes: true}
	if after, has := t.values.appendAttribute(nil, e, ua.AttributeIDDataType); had != has ||
		string(before) != string(after) {
		a.Verb = DataTypeChanged
	}
	return a
}

// remove removes a node; the lists of other nodes are unchanged.
func (t *table) remove(r Ref) Affected {
	e := &t.entries[r]
	a := t.typed(Affected{Node: e.id(), Verb: NodeDeleted}, r)
	t.values.releaseAll(e.attrs)
	e.attrs, e.class = "", 0
	t.keepEdges(r, func(edge) bool { return false })
	t.entries[r].exists = false
	t.live--
	t.release(r)
	return a
}

// typed sets the type definition.
func (t *table) typed(a Affected, r Ref) Affected {
	a.Type = t.typeDefinition(r)
	return a
}

// compact releases the spare capacity left by growing.
func (t *table) compact() { t.entries = slices.Clone(t.entries) }
