package addrspace

import (
	"encoding/binary"
	"fmt"
	"iter"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func num(n uint32) NodeID { return NodeID{Number: n} }

func classValue(c ua.NodeClass) []byte {
	return binary.LittleEndian.AppendUint32([]byte{1, byte(ua.TypeIDInt32)}, uint32(c))
}

func nameValue(ns uint16, name string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{1, byte(ua.TypeIDQualifiedName)}, ns)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}

func textValue(text string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{1, byte(ua.TypeIDLocalizedText), 2}, uint32(len(text)))
	return append(b, text...)
}

func node(id NodeID, class ua.NodeClass, name string, references ...Reference) Node {
	return Node{ID: id, References: references, Attributes: []Attribute{
		{ua.AttributeIDNodeID, appendNodeIDValue(nil, id)},
		{ua.AttributeIDNodeClass, classValue(class)},
		{ua.AttributeIDBrowseName, nameValue(id.Namespace, name)},
		{ua.AttributeIDDisplayName, textValue(name)},
	}}
}

func to(kind uint32, target NodeID) Reference {
	return Reference{Type: num(kind), Target: target}
}

func from(kind uint32, target NodeID) Reference {
	return Reference{Type: num(kind), Target: target, Inverse: true}
}

func put(nodes ...Node) []Change {
	var c []Change
	for _, n := range nodes {
		c = append(c, Change{Kind: Put, Node: n})
	}
	return c
}

func apply(t testing.TB, s *Space, changes ...Change) []Affected {
	t.Helper()
	a, err := s.Apply(changes)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// plantTag names tag i of a plant.
func plantTag(i int) NodeID {
	return NodeID{Kind: 1, Namespace: 2, Text: fmt.Sprintf("Plant.Line%02d.Machine%03d.Tag%06d", i/1000, i/100, i)}
}

// plant is a plausible address space: folders of a hundred variables each, with all
// the attributes that a server gives, listed from both ends.
func plant(n int) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		types := []Node{
			node(num(id.References), ua.NodeClassReferenceType, "References",
				to(id.HasSubtype, num(id.HierarchicalReferences))),
			node(num(id.HierarchicalReferences), ua.NodeClassReferenceType, "HierarchicalReferences",
				to(id.HasSubtype, num(id.Organizes))),
			node(num(id.Organizes), ua.NodeClassReferenceType, "Organizes"),
			node(num(id.BaseDataVariableType), ua.NodeClassVariableType, "BaseDataVariableType"),
			node(num(id.FolderType), ua.NodeClassObjectType, "FolderType"),
		}
		for _, t := range types {
			if !yield(t) {
				return
			}
		}
		for f := 0; f*100 < n; f++ {
			folder := NodeID{Namespace: 2, Number: uint32(f + 1)}
			references := []Reference{from(id.Organizes, num(id.ObjectsFolder)),
				to(id.HasTypeDefinition, num(id.FolderType))}
			for i := f * 100; i < min(n, f*100+100); i++ {
				references = append(references, to(id.Organizes, plantTag(i)))
				if !yield(variable(i, folder)) {
					return
				}
			}
			if !yield(node(folder, ua.NodeClassObject, fmt.Sprintf("Machine%03d", f), references...)) {
				return
			}
		}
	}
}

func variable(i int, folder NodeID) Node {
	v := node(plantTag(i), ua.NodeClassVariable, fmt.Sprintf("Tag%06d", i),
		from(id.Organizes, folder), to(id.HasTypeDefinition, num(id.BaseDataVariableType)))
	for a, value := range map[ua.AttributeID][]byte{
		ua.AttributeIDDescription: {1, 21, 0}, ua.AttributeIDWriteMask: {1, 7, 0, 0, 0, 0},
		ua.AttributeIDUserWriteMask: {1, 7, 0, 0, 0, 0},
		ua.AttributeIDDataType:      {1, 17, 0, 11}, ua.AttributeIDValueRank: {1, 6, 255, 255, 255, 255},
		ua.AttributeIDArrayDimensions: {1, 0x87, 255, 255, 255, 255},
		ua.AttributeIDAccessLevel:     {1, 3, 1}, ua.AttributeIDUserAccessLevel: {1, 3, 1},
		ua.AttributeIDMinimumSamplingInterval: {1, 11, 0, 0, 0, 0, 0, 0, 0, 0},
		ua.AttributeIDHistorizing:             {1, 1, 0}, ua.AttributeIDRolePermissions: {2, 0, 0, 0x35, 0x80},
		ua.AttributeIDUserRolePermissions: {2, 0, 0, 0x35, 0x80},
		ua.AttributeIDAccessRestrictions:  {2, 0, 0, 0x35, 0x80}, ua.AttributeIDAccessLevelEx: {1, 7, 1, 0, 0, 0},
	} {
		v.Attributes = append(v.Attributes, Attribute{a, value})
	}
	return v
}

func plantSpace(t testing.TB, n int) *Space {
	t.Helper()
	s := New()
	if err := s.Replace(plant(n)); err != nil {
		t.Fatal(err)
	}
	return s
}
