package opcua

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Bits of AccessLevel, UserAccessLevel and AccessLevelEx (OPC 10000-3 §8.57, §8.58), and
// of EventNotifier (§8.59), where those of history have the same place.
const (
	writeBits   = 0x02 | 0x20 | 0x40 // CurrentWrite, StatusWrite, TimestampWrite
	historyBits = 0x04 | 0x08        // HistoryRead, HistoryWrite
)

var (
	trueValue  = []byte{1, byte(ua.TypeIDBoolean), 1}
	falseValue = []byte{1, byte(ua.TypeIDBoolean), 0}
)

// isServedMethod reports whether a method is about a client's own subscriptions; the mirror
// serves those.
func isServedMethod(n rawvalue.NodeID) bool {
	switch n {
	case rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh},
		rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh2},
		rawvalue.NodeID{Number: id.Server_GetMonitoredItems}, rawvalue.NodeID{Number: id.Server_ResendData}:
		return true
	}
	return false
}

// readOnly clears the bits of a node for write access, history and methods.
func readOnly(n *addrspace.Node) {
	for i, a := range n.Attributes {
		value := &n.Attributes[i].Value
		switch a.ID {
		case ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel, ua.AttributeIDAccessLevelEx:
			*value = mapNumber(a.Value, func(v uint32) uint32 { return v &^ (writeBits | historyBits) })
		case ua.AttributeIDEventNotifier:
			*value = mapNumber(a.Value, func(v uint32) uint32 { return v &^ historyBits })
		case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask:
			*value = mapNumber(a.Value, func(uint32) uint32 { return 0 })
		case ua.AttributeIDHistorizing:
			*value = falseValue
		case ua.AttributeIDExecutable, ua.AttributeIDUserExecutable:
			if *value = falseValue; isServedMethod(n.ID) {
				*value = trueValue
			}
		}
	}
}

// mapNumber applies change to a DataValue of a Boolean, Byte or UInt32, and returns any other
// DataValue as it is.
func mapNumber(raw []byte, change func(uint32) uint32) []byte {
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

// removeValue removes the Value attribute of a Variable and returns it: values are records of
// their own, and a block contains one only to say why there is none. A VariableType keeps its
// Value.
func removeValue(n *addrspace.Node) []byte {
	at := slices.IndexFunc(n.Attributes, func(a addrspace.Attribute) bool { return a.ID == ua.AttributeIDValue })
	class := slices.IndexFunc(n.Attributes, func(a addrspace.Attribute) bool { return a.ID == ua.AttributeIDNodeClass })
	if at < 0 || class < 0 {
		return nil
	}
	v, err := rawvalue.SkimDataValue(n.Attributes[class].Value, rawvalue.Limits{})
	if err != nil || v.Value.Type() != ua.TypeIDInt32 || v.Value.IsArray() ||
		ua.NodeClass(binary.LittleEndian.Uint32(v.Value.Raw[1:])) != ua.NodeClassVariable {
		return nil
	}
	value := n.Attributes[at].Value
	n.Attributes = slices.Delete(n.Attributes, at, at+1)
	return bytes.Clone(value)
}
