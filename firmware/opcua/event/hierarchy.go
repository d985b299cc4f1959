package event

import (
	"slices"
	"strings"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

const (
	maxTypes   = 5000 // event types that are visited
	maxNesting = 4    // names in a path that SelectAll finds
	maxSelect  = 500  // clauses that SelectAll returns
)

// subtypes returns a type and all below it, the upper ones first.
func subtypes(t rawvalue.NodeID, v addrspace.View) []rawvalue.NodeID {
	return related(t, v, ua.BrowseDirectionForward)
}

func supertypes(t rawvalue.NodeID, v addrspace.View) []rawvalue.NodeID {
	return related(t, v, ua.BrowseDirectionInverse)
}

func related(t rawvalue.NodeID, v addrspace.View, d ua.BrowseDirection) []rawvalue.NodeID {
	all, seen := []rawvalue.NodeID{t}, map[rawvalue.NodeID]bool{t: true}
	for i := 0; i < len(all) && len(all) < maxTypes; i++ {
		r, ok := v.Lookup(all[i])
		if !ok {
			continue
		}
		found, _ := v.Browse(nil, r, addrspace.Filter{Direction: d, Type: rawvalue.NodeID{Number: id.HasSubtype}}, 0,
			maxTypes)
		slices.SortFunc(found,
			func(a, b addrspace.Found) int { return strings.Compare(a.Target.String(), b.Target.String()) })
		for _, f := range found {
			if f.Exists && !seen[f.Target] {
				seen[f.Target] = true
				all = append(all, f.Target)
			}
		}
	}
	return all
}

// SelectAll returns operands for all fields of all event types, those of the base types first,
// at most 500, and the number left out. A path that a supertype declares is not repeated.
func SelectAll(v addrspace.View) (operands []Operand, more int) {
	declaredBy := map[string][]rawvalue.NodeID{}
	add := func(o Operand) {
		key := o.key()
		for _, t := range declaredBy[key] {
			if v.IsSubtype(o.Type, t) {
				return
			}
		}
		declaredBy[key] = append(declaredBy[key], o.Type)
		if len(operands) == maxSelect {
			more++
			return
		}
		operands = append(operands, o)
	}
	for _, t := range subtypes(rawvalue.NodeID{Number: id.BaseEventType}, v) {
		if t == (rawvalue.NodeID{Number: id.ConditionType}) {
			add(ConditionID())
		}
		if r, ok := v.Lookup(t); ok {
			declarations(v, r, Operand{Type: t, Attribute: ua.AttributeIDValue}, add)
		}
	}
	return operands, more
}

// declarations walks the variables below a node, those of objects included.
func declarations(v addrspace.View, r addrspace.Ref, at Operand, add func(Operand)) {
	if len(at.Path) == maxNesting {
		return
	}
	filter := addrspace.Filter{Type: rawvalue.NodeID{Number: id.Aggregates}, Subtypes: true,
		Classes: uint32(ua.NodeClassVariable | ua.NodeClassObject)}
	found, _ := v.Browse(nil, r, filter, 0, maxTypes)
	for _, f := range found {
		name, ok := browseName(v, f.Node)
		if !f.Exists || !ok {
			continue
		}
		o := at
		o.Path = append(slices.Clone(at.Path), name)
		if v.Class(f.Node) == ua.NodeClassVariable {
			add(o)
		}
		declarations(v, f.Node, o, add)
	}
}

func browseName(v addrspace.View, r addrspace.Ref) (rawvalue.QualifiedName, bool) {
	raw, ok := v.AppendAttribute(nil, r, ua.AttributeIDBrowseName)
	if !ok {
		return rawvalue.QualifiedName{}, false
	}
	d, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || d.Value.IsArray() || d.Value.Type() != ua.TypeIDQualifiedName {
		return rawvalue.QualifiedName{}, false
	}
	c := rawvalue.NewCursor(d.Value.Elements(), rawvalue.Limits{})
	return c.QualifiedName(), true
}
