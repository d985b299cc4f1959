package server

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
)

// The bits of AccessRestrictions (OPC 10000-3 §8.56).
const (
	signingRequired    = 1
	encryptionRequired = 2
	appliesToBrowse    = 8
)

// checkRestrictions checks whether a node may be read, or with browse set be browsed, over a
// client's channel: by the node's AccessRestrictions, or where it has none, by those of its
// namespace (OPC 10000-5 §6.3.13, DefaultAccessRestrictions).
func (s *Server) checkRestrictions(v addrspace.View, ref addrspace.Ref, c *subscription.Client,
	browse bool) ua.StatusCode {
	if c.Encrypted { // and signed
		return ua.StatusOK
	}
	var buf [64]byte
	raw, ok := v.AppendAttribute(buf[:0], ref, ua.AttributeIDAccessRestrictions)
	bits, none := uint16(0), true
	if ok {
		bits, none = restrictionBits(raw)
	}
	if none {
		bits = s.defaultRestrictions(v)[v.ID(ref).Namespace]
	}
	if browse && bits&appliesToBrowse == 0 {
		return ua.StatusOK
	}
	if bits&encryptionRequired != 0 || bits&signingRequired != 0 && !c.Signed {
		return ua.StatusBadSecurityModeInsufficient
	}
	return ua.StatusOK
}

// restrictionBits reads a DataValue of an AccessRestrictionsType. One that cannot be read
// counts as all restrictions.
func restrictionBits(raw []byte) (bits uint16, none bool) {
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	switch {
	case err == nil && dv.Value.IsNull():
		return 0, true
	case err == nil && dv.Value.Type() == ua.TypeIDUint16 && !dv.Value.IsArray():
		return binary.LittleEndian.Uint16(dv.Value.Raw[1:]), false
	}
	return 0xffff, false
}

// defaults are the cached restrictions of namespaces.
type defaults struct {
	version uint64 // of the address space
	at      time.Time
	bits    map[uint16]uint16 // by namespace index; never changes
}

// defaultRestrictions returns the restrictions of namespaces, by index.
func (s *Server) defaultRestrictions(v addrspace.View) map[uint16]uint16 {
	now := s.cfg.Now()
	if d := s.restrictions.Load(); d != nil && d.version == v.Version() && now.Sub(d.at) < defaultsMaxAge {
		return d.bits
	}
	d := &defaults{version: v.Version(), at: now, bits: s.readDefaultRestrictions(v)}
	s.restrictions.Store(d)
	return d.bits
}

func (s *Server) readDefaultRestrictions(v addrspace.View) map[uint16]uint16 {
	bits := map[uint16]uint16{}
	folder, ok := v.Lookup(rawvalue.NodeID{Number: id.Server_Namespaces})
	if !ok {
		return bits
	}
	indices := s.namespaceIndices()
	found, _ := v.Browse(nil, folder,
		addrspace.Filter{Type: rawvalue.NodeID{Number: id.HierarchicalReferences}, Subtypes: true}, 0, len(indices)+1)
	for _, f := range found {
		if !f.Exists {
			continue
		}
		uri := s.propertyValue(v, f.Target, "NamespaceUri")
		index, known := indices[stringValue(uri)]
		if raw := s.propertyValue(v, f.Target, "DefaultAccessRestrictions"); known && raw != nil {
			bits[index], _ = restrictionBits(raw)
		}
	}
	return bits
}

// propertyValue returns the DataValue of a node's property, nil if there is none.
func (s *Server) propertyValue(v addrspace.View, node rawvalue.NodeID, name string) []byte {
	found, _ := v.Translate(node, []addrspace.Element{{
		Type: rawvalue.NodeID{Number: id.HasProperty}, Subtypes: true, Name: rawvalue.QualifiedName{Name: []byte(name)},
	}}, 1)
	if len(found) == 0 {
		return nil
	}
	raw, _ := s.values.get(found[0])
	return raw
}

// namespaceIndices returns the index of each URI in the NamespaceArray.
func (s *Server) namespaceIndices() map[string]uint16 {
	indices := map[string]uint16{}
	raw, known := s.values.get(rawvalue.NodeID{Number: id.Server_NamespaceArray})
	if !known {
		if uris := s.namespaces.Load(); uris != nil {
			for i, uri := range *uris {
				indices[uri] = uint16(i)
			}
		}
		return indices
	}
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || dv.Value.Type() != ua.TypeIDString {
		return indices
	}
	for i, element := range dv.Value.Each() {
		indices[decodeString(element)] = uint16(i)
	}
	return indices
}

// stringValue returns the String in a DataValue, "" if there is none.
func stringValue(dataValue []byte) string {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil || dv.Value.Type() != ua.TypeIDString || dv.Value.IsArray() {
		return ""
	}
	return decodeString(dv.Value.Raw[1:])
}

// decodeString returns an encoded String, "" for null. Its length was checked when skimmed.
func decodeString(b []byte) string {
	if n := int32(binary.LittleEndian.Uint32(b)); n > 0 {
		return string(b[4 : 4+n])
	}
	return ""
}
