package addrspace

import (
	"iter"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// View is a state of the Space. It and its Refs are valid until the function that it was
// passed to returns. A Ref must be of the same View.
type View struct {
	t          *table
	version    uint64
	generation uint64
}

// Version increases with each change. A position that Browse returned is valid for one
// Version.
func (v View) Version() uint64 { return v.version }

// Generation increases with each Replace.
func (v View) Generation() uint64 { return v.generation }

// Len returns the number of nodes.
func (v View) Len() int { return v.t.live }

// Lookup finds a node.
func (v View) Lookup(id NodeID) (Ref, bool) { return v.t.node(id) }

// Nodes yields all nodes in no particular order.
func (v View) Nodes() iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		for i := range v.t.entries {
			if v.t.entries[i].exists && !yield(Ref(i)) {
				return
			}
		}
	}
}

// ID returns the NodeId of a node.
func (v View) ID(r Ref) NodeID { return v.t.entries[r].id() }

// Class returns the NodeClass of a node, 0 if the source gave none.
func (v View) Class(r Ref) ua.NodeClass { return ua.NodeClass(v.t.entries[r].class) }

// AppendAttribute appends the DataValue of an attribute, if the node has it.
func (v View) AppendAttribute(dst []byte, r Ref, a ua.AttributeID) ([]byte, bool) {
	return v.t.values.appendAttribute(dst, &v.t.entries[r], a)
}

// AttributeIDs appends the attributes that a node has, in ascending order.
func (v View) AttributeIDs(dst []ua.AttributeID, r Ref) []ua.AttributeID {
	unpack(v.t.entries[r].attrs, func(a ua.AttributeID, _ string, _ uint32, _ bool) bool {
		dst = append(dst, a)
		return true
	})
	return dst
}

// TypeDefinition returns the NodeId of a node's type definition, null if it has none.
func (v View) TypeDefinition(r Ref) NodeID { return v.t.typeDefinition(r) }

func (t *table) typeDefinition(r Ref) NodeID {
	kind, ok := t.find(NodeID{Number: id.HasTypeDefinition})
	if !ok {
		return NodeID{}
	}
	for _, e := range t.entries[r].edges {
		if e.refType() == kind && !e.inverse() {
			return t.target(e).Target
		}
	}
	return NodeID{}
}

// target returns the target of an edge.
func (t *table) target(e edge) Reference {
	far := &t.entries[e.target]
	if far.kind == external {
		return Reference{External: far.text}
	}
	return Reference{Target: far.id()}
}

// IsSubtype reports whether a type is the same as another or a subtype of it, by the
// HasSubtype references of either.
func (v View) IsSubtype(sub, super NodeID) bool {
	a, ok1 := v.t.find(sub)
	b, ok2 := v.t.find(super)
	return sub == super || ok1 && ok2 && v.t.isSubtype(a, b)
}
