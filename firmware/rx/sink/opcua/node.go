package opcua

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// writeBits of AccessLevel, UserAccessLevel and AccessLevelEx (OPC 10000-3
// §8.57, §8.58): CurrentWrite, HistoryWrite, StatusWrite, TimestampWrite.
const writeBits = 0x02 | 0x08 | 0x20 | 0x40

// readOnly takes from a node what nobody can do over a mirror.
func readOnly(n *addrspace.Node) {
	for i, a := range n.Attributes {
		switch a.ID {
		case ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel, ua.AttributeIDAccessLevelEx:
			n.Attributes[i].Value = changeNumber(a.Value, func(v uint32) uint32 { return v &^ writeBits })
		case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask, ua.AttributeIDExecutable, ua.AttributeIDUserExecutable:
			n.Attributes[i].Value = changeNumber(a.Value, func(uint32) uint32 { return 0 })
		}
	}
}

// changeNumber changes a DataValue that holds a Boolean, Byte or UInt32; another
// stays as it is.
func changeNumber(raw []byte, change func(uint32) uint32) []byte {
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || v.Value.IsArray() || v.Value.IsNull() {
		return raw
	}
	at := 2 // behind the masks of the DataValue and its Variant
	out := bytes.Clone(raw)
	switch v.Value.Type() {
	case ua.TypeIDBoolean, ua.TypeIDByte:
		out[at] = byte(change(uint32(raw[at])))
	case ua.TypeIDUint32:
		binary.LittleEndian.PutUint32(out[at:], change(binary.LittleEndian.Uint32(raw[at:])))
	}
	return out
}

// takeValue takes the Value attribute from a Variable and returns it: its value is
// state of its own, and a block has one only to say why there is none. That of a
// VariableType stays.
func takeValue(n *addrspace.Node) []byte {
	at := slices.IndexFunc(n.Attributes, func(a addrspace.Attribute) bool { return a.ID == ua.AttributeIDValue })
	class := slices.IndexFunc(n.Attributes, func(a addrspace.Attribute) bool { return a.ID == ua.AttributeIDNodeClass })
	if at < 0 || class < 0 {
		return nil
	}
	v, err := rawvalue.SkimDataValue(n.Attributes[class].Value, rawvalue.Limits{})
	if err != nil || v.Value.Type() != ua.TypeIDInt32 || v.Value.IsArray() || ua.NodeClass(binary.LittleEndian.Uint32(v.Value.Raw[1:])) != ua.NodeClassVariable {
		return nil
	}
	value := n.Attributes[at].Value
	n.Attributes = slices.Delete(n.Attributes, at, at+1)
	return bytes.Clone(value)
}
