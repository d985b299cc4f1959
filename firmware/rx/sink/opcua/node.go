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
	yes = []byte{1, byte(ua.TypeIDBoolean), 1}
	no  = []byte{1, byte(ua.TypeIDBoolean), 0}
)

// served are the methods about a client's own subscriptions, which a mirror answers.
func served(n rawvalue.NodeID) bool {
	switch n {
	case rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh}, rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh2},
		rawvalue.NodeID{Number: id.Server_GetMonitoredItems}, rawvalue.NodeID{Number: id.Server_ResendData}:
		return true
	}
	return false
}

// readOnly makes a node say what can be done with it over a mirror.
func readOnly(n *addrspace.Node) {
	for i, a := range n.Attributes {
		value := &n.Attributes[i].Value
		switch a.ID {
		case ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel, ua.AttributeIDAccessLevelEx:
			*value = changeNumber(a.Value, func(v uint32) uint32 { return v &^ (writeBits | historyBits) })
		case ua.AttributeIDEventNotifier:
			*value = changeNumber(a.Value, func(v uint32) uint32 { return v &^ historyBits })
		case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask:
			*value = changeNumber(a.Value, func(uint32) uint32 { return 0 })
		case ua.AttributeIDHistorizing:
			*value = no
		case ua.AttributeIDExecutable, ua.AttributeIDUserExecutable:
			if *value = no; served(n.ID) {
				*value = yes
			}
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
