package opcua

import (
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// metadataProperties are the properties that describe types and nodes. Together with the
// NamespaceArray, all variables below the Types folder, and the dictionaries and descriptions
// of DataTypes they are metadata: clients need it to decode values, it does not become stale
// when the source cannot be reached, and it keeps the source's own status.
var metadataProperties = map[string]bool{
	// OPC 10000-3: of nodes, variables, methods and DataTypes.
	"NodeVersion": true, "ViewVersion": true, "Icon": true, "NamingRule": true, "AllowNulls": true,
	"MaxStringLength": true, "MaxCharacters": true,
	"MaxByteStringLength": true, "MaxArrayLength": true, "EnumStrings": true, "EnumValues": true,
	"OptionSetValues": true, "OptionSetLength": true,
	"BitMask": true, "InputArguments": true, "OutputArguments": true, "SupportedRates": true,
	// OPC 10000-5: of dictionaries and of namespaces.
	"DataTypeVersion": true, "NamespaceUri": true, "Deprecated": true, "DictionaryFragment": true,
	"NamespaceVersion":         true,
	"NamespacePublicationDate": true, "IsNamespaceSubset": true, "StaticNodeIdTypes": true,
	"StaticNumericNodeIdRange":  true,
	"StaticStringNodeIdPattern": true, "DefaultRolePermissions": true, "DefaultUserRolePermissions": true,
	"DefaultAccessRestrictions": true,
	"ConfigurationVersion":      true, "ModelVersion": true,
	// OPC 10000-8: of data items. ValueAsText is not among them: it follows the value.
	"Definition": true, "ValuePrecision": true, "EURange": true, "InstrumentRange": true, "EngineeringUnits": true,
	"TrueState":  true,
	"FalseState": true, "Title": true, "AxisScaleType": true, "XAxisDefinition": true, "YAxisDefinition": true,
	"ZAxisDefinition": true,
}

// isMetadata reports whether a node is metadata by its NodeId, type definition or BrowseName.
func isMetadata(n *addrspace.Node) bool {
	if n.ID == (rawvalue.NodeID{Number: id.Server_NamespaceArray}) {
		return true
	}
	switch typeDefinition(n) {
	case rawvalue.NodeID{Number: id.DataTypeDictionaryType}, rawvalue.NodeID{Number: id.DataTypeDescriptionType}:
		return true
	case rawvalue.NodeID{Number: id.PropertyType}:
		namespace, name := browseName(n)
		return namespace == 0 && metadataProperties[name]
	}
	return false
}

func typeDefinition(n *addrspace.Node) rawvalue.NodeID {
	for _, r := range n.References {
		if r.Type == (rawvalue.NodeID{Number: id.HasTypeDefinition}) && !r.Inverse {
			return r.Target
		}
	}
	return rawvalue.NodeID{}
}

func browseName(n *addrspace.Node) (namespace uint16, name string) {
	for _, a := range n.Attributes {
		if a.ID != ua.AttributeIDBrowseName {
			continue
		}
		dv, err := rawvalue.SkimDataValue(a.Value, rawvalue.Limits{})
		if err != nil || dv.Value.Type() != ua.TypeIDQualifiedName || dv.Value.IsArray() {
			break
		}
		c := rawvalue.NewCursor(dv.Value.Raw[1:], rawvalue.Limits{})
		q := c.QualifiedName()
		return q.Namespace, string(q.Name)
	}
	return 0, ""
}

// isCached reports whether the cache keeps a value.
func (m *mirror) isCached(k payload.Key) bool {
	v := m.nodes[k.Number]
	return k.Generation == m.current.Generation && v != nil && v.isMetadata()
}

// updateTypes finds the variables below the Types folder again after the structure has changed,
// at most once a second.
func (m *mirror) updateTypes(now time.Time) {
	if !m.typesOutdated || now.Sub(m.typesChecked) < time.Second {
		return
	}
	m.typesOutdated, m.typesChecked = false, now
	var below map[rawvalue.NodeID]bool
	m.server.Space().View(func(v addrspace.View) { below = variablesBelow(v, rawvalue.NodeID{Number: id.TypesFolder}) })
	for _, v := range m.nodes {
		if is := v.exists && below[v.node]; is != v.belowTypes {
			v.belowTypes = is
			m.serve(v)
		}
	}
}

// variablesBelow follows hierarchical references from a folder, but not into the folders of
// instances.
func variablesBelow(v addrspace.View, folder rawvalue.NodeID) map[rawvalue.NodeID]bool {
	found := map[rawvalue.NodeID]bool{}
	seen := map[rawvalue.NodeID]bool{
		folder: true, {Number: id.RootFolder}: true, {Number: id.ObjectsFolder}: true, {Number: id.ViewsFolder}: true,
		{Number: id.Server}: true,
	}
	down := addrspace.Filter{Type: rawvalue.NodeID{Number: id.HierarchicalReferences}, Subtypes: true}
	var list []addrspace.Found
	for next := []rawvalue.NodeID{folder}; len(next) > 0; {
		node := next[len(next)-1]
		next = next[:len(next)-1]
		ref, ok := v.Lookup(node)
		if !ok {
			continue
		}
		list, _ = v.Browse(list[:0], ref, down, 0, 0)
		for i := range list {
			f := &list[i]
			if !f.Exists || seen[f.Target] {
				continue
			}
			seen[f.Target] = true
			if v.Class(f.Node) == ua.NodeClassVariable {
				found[f.Target] = true
			}
			next = append(next, f.Target)
		}
	}
	return found
}
