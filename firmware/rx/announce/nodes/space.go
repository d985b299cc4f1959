package nodes

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

//go:embed namespace0.txt
var namespace0 string

// Our namespace, and its index in the NamespaceArray.
const (
	namespaceURI = "urn:heliograph:gateway"
	namespace    = 2
	root         = "Heliograph"
)

var classes = map[string]ua.NodeClass{
	"object": ua.NodeClassObject, "variable": ua.NodeClassVariable, "objectType": ua.NodeClassObjectType,
	"variableType": ua.NodeClassVariableType, "referenceType": ua.NodeClassReferenceType,
	"dataType": ua.NodeClassDataType,
}

// declared is a node as it is declared; parent and what follows are NodeIds.
type declared struct {
	id         rawvalue.NodeID
	class      ua.NodeClass
	name       string
	abstract   bool
	parent     rawvalue.NodeID // null: none
	reference  uint32          // from the parent
	definition uint32          // 0: none
	dataType   uint32          // of a variable or its type
	rank       int32
	inverse    string // name of a type of references
}

func numeric(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

// own is a NodeId of our namespace.
func own(path string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: namespace, Kind: rawvalue.String, Text: path}
}

// base returns the nodes of namespace 0.
func base() (list []declared, err error) {
	for line := range strings.Lines(namespace0) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var number, parent uint32
		var class string
		d := declared{rank: -1}
		_, err := fmt.Sscan(line, &number, &class, &d.name, &parent, &d.reference, &d.definition)
		if err != nil {
			return nil, fmt.Errorf("nodes: %q: %v", line, err)
		}
		class, d.abstract = strings.TrimPrefix(class, "*"), class[0] == '*'
		d.id, d.parent, d.class = numeric(number), numeric(parent), classes[class]
		switch rest := strings.Fields(line)[6:]; {
		case len(rest) == 2:
			_, err = fmt.Sscan(rest[0]+" "+rest[1], &d.dataType, &d.rank)
		case len(rest) == 1:
			d.inverse = rest[0]
		}
		if err != nil || d.class == 0 {
			return nil, fmt.Errorf("nodes: %q: %v", line, err)
		}
		list = append(list, d)
	}
	return list, nil
}

// changes are what adds the node to an address space.
func (d *declared) changes() []addrspace.Change {
	n := addrspace.Node{ID: d.id, Attributes: d.attributes()}
	if d.definition != 0 {
		n.References = append(n.References,
			addrspace.Reference{Type: numeric(id.HasTypeDefinition), Target: numeric(d.definition)})
	}
	changes := []addrspace.Change{{Kind: addrspace.Put, Node: n}}
	if (d.parent == rawvalue.NodeID{}) {
		return changes
	}
	up := addrspace.Reference{Type: numeric(d.reference), Target: d.parent, Inverse: true}
	changes[0].Node.References = append(changes[0].Node.References, up)
	down := addrspace.Reference{Type: numeric(d.reference), Target: d.id}
	return append(changes, addrspace.Change{Kind: addrspace.AddReferences,
		Node: addrspace.Node{ID: d.parent, References: []addrspace.Reference{down}}})
}

func (d *declared) attributes() (list []addrspace.Attribute) {
	set := func(a ua.AttributeID, v any) {
		list = append(list, addrspace.Attribute{ID: a, Value: dataValue(v)})
	}
	set(ua.AttributeIDNodeID, d.id.UA())
	set(ua.AttributeIDNodeClass, int32(d.class))
	set(ua.AttributeIDBrowseName, &ua.QualifiedName{NamespaceIndex: d.id.Namespace, Name: d.name})
	set(ua.AttributeIDDisplayName, ua.NewLocalizedText(d.name))
	set(ua.AttributeIDWriteMask, uint32(0))
	set(ua.AttributeIDUserWriteMask, uint32(0))
	switch d.class {
	case ua.NodeClassObject:
		set(ua.AttributeIDEventNotifier, byte(0))
		return list
	case ua.NodeClassReferenceType:
		set(ua.AttributeIDSymmetric, false)
		set(ua.AttributeIDInverseName, ua.NewLocalizedText(d.inverse))
	case ua.NodeClassVariable, ua.NodeClassVariableType:
		set(ua.AttributeIDDataType, numeric(d.dataType).UA())
		set(ua.AttributeIDValueRank, d.rank)
	}
	if d.class == ua.NodeClassVariable {
		const currentRead = byte(1)
		set(ua.AttributeIDAccessLevel, currentRead)
		set(ua.AttributeIDUserAccessLevel, currentRead)
		set(ua.AttributeIDMinimumSamplingInterval, float64(every.Milliseconds()))
		set(ua.AttributeIDHistorizing, false)
		return list
	}
	set(ua.AttributeIDIsAbstract, d.abstract)
	return list
}

// dataValue encodes a value of the library's types, without time.
func dataValue(v any) []byte {
	raw, err := (&ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(v)}).Encode()
	if err != nil {
		return rawvalue.AppendStatus(nil, ua.StatusBadInternalError, rawvalue.Answer{})
	}
	return raw
}
