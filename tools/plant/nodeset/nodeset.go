// Package nodeset reads a UANodeSet (OPC 10000-6 Annex F) into nodes of an address
// space, so that simulated servers have the types that clients look for.
//
// It is for the simulated plant and for tests. It refuses to be complete: of values
// it reads texts, Booleans, dates, arguments and enumeration values, and of what is
// left it says how much.
package nodeset

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/schema"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Set is what a nodeset holds.
type Set struct {
	Nodes  []addrspace.Node
	Values map[rawvalue.NodeID][]byte // DataValues of variables
	Unread int                        // values of kinds that are not read here
}

// Base returns namespace 0.
func Base() (*Set, error) { return Parse(schema.OpcUaNodeSet2) }

type document struct {
	Aliases []struct {
		Alias string `xml:"Alias,attr"`
		Value string `xml:",chardata"`
	} `xml:"Aliases>Alias"`
	Nodes []element `xml:",any"`
}

type element struct {
	XMLName       xml.Name
	NodeID        string      `xml:"NodeId,attr"`
	BrowseName    string      `xml:"BrowseName,attr"`
	DataType      string      `xml:"DataType,attr"`
	ValueRank     *int32      `xml:"ValueRank,attr"`
	Dimensions    string      `xml:"ArrayDimensions,attr"`
	AccessLevel   *uint32     `xml:"AccessLevel,attr"`
	IsAbstract    bool        `xml:"IsAbstract,attr"`
	Symmetric     bool        `xml:"Symmetric,attr"`
	EventNotifier byte        `xml:"EventNotifier,attr"`
	Sampling      float64     `xml:"MinimumSamplingInterval,attr"`
	DisplayName   []localized `xml:"DisplayName"`
	Description   []localized `xml:"Description"`
	InverseName   []localized `xml:"InverseName"`
	References    []reference `xml:"References>Reference"`
	Value         *value      `xml:"Value"`
}

type localized struct {
	Locale string `xml:"Locale,attr"`
	Text   string `xml:",chardata"`
}

type reference struct {
	Type    string `xml:"ReferenceType,attr"`
	Forward string `xml:"IsForward,attr"`
	Target  string `xml:",chardata"`
}

// reader builds a Set.
type reader struct {
	set     Set
	aliases map[string]string
	index   map[rawvalue.NodeID]int
	listed  map[link]bool
}

// link is a reference, for finding it again.
type link struct {
	node, kind, target rawvalue.NodeID
	inverse            bool
}

// Parse reads the XML of a nodeset whose namespace indices are those of the server.
func Parse(data []byte) (*Set, error) {
	var d document
	if err := xml.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("nodeset: %v", err)
	}
	r := &reader{aliases: map[string]string{}, index: map[rawvalue.NodeID]int{}, listed: map[link]bool{}}
	r.set.Values = map[rawvalue.NodeID][]byte{}
	for _, a := range d.Aliases {
		r.aliases[a.Alias] = a.Value
	}
	for i := range d.Nodes {
		if err := r.node(&d.Nodes[i]); err != nil {
			return nil, fmt.Errorf("nodeset: node %s: %v", d.Nodes[i].NodeID, err)
		}
	}
	for i := range d.Nodes {
		if err := r.references(&d.Nodes[i]); err != nil {
			return nil, fmt.Errorf("nodeset: references of %s: %v", d.Nodes[i].NodeID, err)
		}
	}
	return &r.set, nil
}

func (r *reader) id(s string) (rawvalue.NodeID, error) {
	if full, ok := r.aliases[s]; ok {
		s = full
	}
	if s == "" {
		return rawvalue.NodeID{}, nil
	}
	n, err := ua.ParseNodeID(s)
	if err != nil {
		return rawvalue.NodeID{}, err
	}
	return rawvalue.FromUA(n)
}

var classes = map[string]ua.NodeClass{
	"UAObject": ua.NodeClassObject, "UAVariable": ua.NodeClassVariable, "UAMethod": ua.NodeClassMethod,
	"UAView":       ua.NodeClassView,
	"UAObjectType": ua.NodeClassObjectType, "UAVariableType": ua.NodeClassVariableType,
	"UADataType":      ua.NodeClassDataType,
	"UAReferenceType": ua.NodeClassReferenceType,
}

func (r *reader) node(e *element) error {
	class, ok := classes[e.XMLName.Local]
	if !ok {
		return nil // Models, Extensions and the like
	}
	node, err := r.id(e.NodeID)
	if err != nil {
		return err
	}
	b := NewNode(node, class, name(e.BrowseName), text(e.DisplayName))
	b.Attribute(ua.AttributeIDDescription, text(e.Description))
	if err := r.details(b, class, e); err != nil {
		return err
	}
	r.index[node] = len(r.set.Nodes)
	r.set.Nodes = append(r.set.Nodes, b.Node)
	if class == ua.NodeClassVariable && e.Value != nil {
		if v, ok := e.Value.variant(); ok {
			r.set.Values[node] = DataValue(v)
		} else {
			r.set.Unread++
		}
	}
	return nil
}

func (r *reader) details(b *Builder, class ua.NodeClass, e *element) error {
	switch class {
	case ua.NodeClassObject:
		b.Attribute(ua.AttributeIDEventNotifier, e.EventNotifier)
	case ua.NodeClassMethod:
		b.Attribute(ua.AttributeIDExecutable, true)
		b.Attribute(ua.AttributeIDUserExecutable, true)
	case ua.NodeClassReferenceType:
		b.Attribute(ua.AttributeIDIsAbstract, e.IsAbstract)
		b.Attribute(ua.AttributeIDSymmetric, e.Symmetric)
		b.Attribute(ua.AttributeIDInverseName, text(e.InverseName))
	case ua.NodeClassObjectType, ua.NodeClassDataType:
		b.Attribute(ua.AttributeIDIsAbstract, e.IsAbstract)
	case ua.NodeClassVariable, ua.NodeClassVariableType:
		return r.variable(b, class, e)
	}
	return nil
}

func (r *reader) variable(b *Builder, class ua.NodeClass, e *element) error {
	dataType := rawvalue.NodeID{Number: id.BaseDataType}
	if e.DataType != "" {
		var err error
		if dataType, err = r.id(e.DataType); err != nil {
			return err
		}
	}
	rank := int32(-1)
	if e.ValueRank != nil {
		rank = *e.ValueRank
	}
	b.Attribute(ua.AttributeIDDataType, dataType.UA())
	b.Attribute(ua.AttributeIDValueRank, rank)
	b.Attribute(ua.AttributeIDArrayDimensions, dimensions(e.Dimensions))
	if class == ua.NodeClassVariableType {
		b.Attribute(ua.AttributeIDIsAbstract, e.IsAbstract)
		return nil
	}
	level := byte(1)
	if e.AccessLevel != nil {
		level = byte(*e.AccessLevel)
	}
	b.Attribute(ua.AttributeIDAccessLevel, level)
	b.Attribute(ua.AttributeIDUserAccessLevel, level)
	b.Attribute(ua.AttributeIDMinimumSamplingInterval, e.Sampling)
	b.Attribute(ua.AttributeIDHistorizing, false)
	return nil
}

func dimensions(s string) []uint32 {
	var out []uint32
	for _, d := range strings.Split(s, ",") {
		if n, err := strconv.ParseUint(strings.TrimSpace(d), 10, 32); err == nil {
			out = append(out, uint32(n))
		}
	}
	return out
}

func name(s string) *ua.QualifiedName {
	if index, rest, ok := strings.Cut(s, ":"); ok {
		if n, err := strconv.ParseUint(index, 10, 16); err == nil {
			return &ua.QualifiedName{NamespaceIndex: uint16(n), Name: rest}
		}
	}
	return &ua.QualifiedName{Name: s}
}

func text(list []localized) *ua.LocalizedText {
	if len(list) == 0 {
		return ua.NewLocalizedText("")
	}
	return ua.NewLocalizedTextWithLocale(list[0].Text, list[0].Locale)
}

// references lists what the element says, and the other direction at the far node,
// but not the instances of a type at the type.
func (r *reader) references(e *element) error {
	if _, ok := classes[e.XMLName.Local]; !ok {
		return nil
	}
	from, err := r.id(e.NodeID)
	if err != nil {
		return err
	}
	for _, ref := range e.References {
		kind, err := r.id(ref.Type)
		if err != nil {
			return err
		}
		to, err := r.id(strings.TrimSpace(ref.Target))
		if err != nil {
			return err
		}
		inverse := ref.Forward == "false"
		r.list(link{from, kind, to, inverse})
		if kind.Number != id.HasTypeDefinition && kind.Number != id.HasModellingRule {
			r.list(link{to, kind, from, !inverse})
		}
	}
	return nil
}

func (r *reader) list(l link) {
	i, ok := r.index[l.node]
	if !ok || r.listed[l] {
		return
	}
	r.listed[l] = true
	r.set.Nodes[i].References = append(r.set.Nodes[i].References,
		addrspace.Reference{Type: l.kind, Target: l.target, Inverse: l.inverse})
}
