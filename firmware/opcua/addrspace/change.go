package addrspace

import (
	"fmt"
	"math"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Kind is what a Change does.
type Kind uint8

const (
	Put              Kind = iota // creates or replaces the node
	Remove                       // removes the node
	AddReferences                // adds to the node's references
	RemoveReferences             // removes from the node's references
	SetAttributes                // sets attributes of the node; a nil value removes one
)

// Change is one difference between two states of an address space. It is idempotent. Changes
// of references and attributes of a node that does not exist have no effect. Many references
// of one node belong in one Change.
type Change struct {
	Kind Kind
	Node Node // its ID, and what the kind refers to
}

// Verb is the verb of a ModelChangeStructureDataType (OPC 10000-5 §12.16).
type Verb uint8

const (
	NodeAdded        Verb = 1
	NodeDeleted      Verb = 2
	ReferenceAdded   Verb = 4
	ReferenceDeleted Verb = 8
	DataTypeChanged  Verb = 16
)

// Affected is how a node changed. Type is its type definition, the last one if it was
// deleted, null if it has none. Attributes is true if some attribute changed, for which
// there is no verb; without a verb nothing else changed.
type Affected struct {
	Node, Type NodeID
	Verb       Verb
	Attributes bool
}

// check rejects what could not be served.
func (c Change) check() error {
	if c.Kind > SetAttributes {
		return fmt.Errorf("addrspace: %v: unknown kind of change %d", c.Node.ID, c.Kind)
	}
	return c.Node.check()
}

func (n Node) check() error {
	for _, a := range n.Attributes {
		if a.ID == ua.AttributeIDInvalid || a.ID > math.MaxUint8 {
			return fmt.Errorf("addrspace: %v: attribute id %d is out of range", n.ID, a.ID)
		}
		if a.Value == nil {
			continue
		}
		if d, err := rawvalue.SkimDataValue(a.Value, rawvalue.Limits{}); err != nil || len(d.Raw) != len(a.Value) {
			return fmt.Errorf("addrspace: %v: attribute %d is not a DataValue: %v", n.ID, a.ID, err)
		}
	}
	for _, r := range n.References {
		if r.External == "" {
			continue
		}
		c := rawvalue.NewCursor([]byte(r.External), rawvalue.Limits{})
		if c.ExpandedNodeID(); c.Err() != nil || len(c.Rest()) != 0 {
			return fmt.Errorf("addrspace: %v: target of a reference is not an ExpandedNodeId: %v", n.ID, c.Err())
		}
	}
	return nil
}

// apply makes a change that was checked.
func (t *table) apply(c Change) Affected {
	if c.Kind == Put {
		return t.put(c.Node)
	}
	r, ok := t.node(c.Node.ID)
	if !ok {
		return Affected{}
	}
	a := Affected{Node: c.Node.ID}
	switch c.Kind {
	case Remove:
		return t.remove(r)
	case AddReferences:
		if t.addEdges(r, c.Node.References) > 0 {
			a.Verb = ReferenceAdded
		}
	case RemoveReferences:
		if t.removeEdges(r, c.Node.References) > 0 {
			a.Verb = ReferenceDeleted
		}
	case SetAttributes:
		set := t.setAttributes(r, merge(t.values.attributes(&t.entries[r]), c.Node.Attributes))
		a.Verb, a.Attributes = set.Verb, set.Attributes
	}
	return t.typed(a, r)
}

// applyAll makes changes, and joins their effects on each node.
func (t *table) applyAll(changes []Change) []Affected {
	var all []Affected
	at := map[NodeID]int{}
	for _, c := range changes {
		a := t.apply(c)
		if a.Verb == 0 && !a.Attributes {
			continue
		}
		i, ok := at[a.Node]
		if !ok {
			at[a.Node] = len(all)
			all = append(all, a)
			continue
		}
		all[i].Verb |= a.Verb
		all[i].Attributes = all[i].Attributes || a.Attributes
		if a.Type != (NodeID{}) {
			all[i].Type = a.Type
		}
	}
	return all
}
