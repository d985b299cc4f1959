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
	currentRead    = 0x01
	writeBits      = 0x02 | 0x20 | 0x40 // CurrentWrite, StatusWrite, TimestampWrite
	historyRead    = 0x04
	historyBits    = historyRead | 0x08 // HistoryRead, HistoryWrite
	subscribeEvent = 0x01               // of EventNotifier
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

// readOnly clears the bits of a node for write access and methods, and sets those of history where
// it is kept: of the value, of the events that the node reports.
func readOnly(n *addrspace.Node, value, events bool) {
	for i, a := range n.Attributes {
		content := &n.Attributes[i].Value
		switch a.ID {
		case ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel, ua.AttributeIDAccessLevelEx:
			*content = mapNumber(a.Value, func(v uint32) uint32 {
				return withHistory(v&^writeBits, value && v&currentRead != 0)
			})
		case ua.AttributeIDEventNotifier:
			*content = mapNumber(a.Value, func(v uint32) uint32 {
				return withHistory(v, events &&
					v&subscribeEvent != 0)
			})
		case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask:
			*content = mapNumber(a.Value, func(uint32) uint32 { return 0 })
		case ua.AttributeIDHistorizing:
			if *content = falseValue; value {
				*content = trueValue
			}
		case ua.AttributeIDExecutable, ua.AttributeIDUserExecutable:
			if *content = falseValue; isServedMethod(n.ID) {
				*content = trueValue
			}
		}
	}
}

// withHistory sets the bit HistoryRead as it is, and clears HistoryWrite.
func withHistory(bits uint32, kept bool) uint32 {
	if kept {
		return bits&^historyBits | historyRead
	}
	return bits &^ historyBits
}

// isKept reports whether the values of a node are history: those of a Variable that can be read, is
// not metadata, and is not of namespace 0, where the server describes itself.
func isKept(n *addrspace.Node) bool {
	if n.ID.Namespace == 0 || classOf(n) != ua.NodeClassVariable || isMetadata(n) {
		return false
	}
	for _, a := range n.Attributes {
		if a.ID != ua.AttributeIDAccessLevel {
			continue
		}
		v, err := rawvalue.SkimDataValue(a.Value, rawvalue.Limits{})
		return err == nil && v.Value.Type() == ua.TypeIDByte && !v.Value.IsArray() && v.Value.Raw[1]&currentRead != 0
	}
	return false
}

// classOf returns the NodeClass of a node, 0 if it has none.
func classOf(n *addrspace.Node) ua.NodeClass {
	at := slices.IndexFunc(n.Attributes, func(a addrspace.Attribute) bool { return a.ID == ua.AttributeIDNodeClass })
	if at < 0 {
		return 0
	}
	v, err := rawvalue.SkimDataValue(n.Attributes[at].Value, rawvalue.Limits{})
	if err != nil || v.Value.Type() != ua.TypeIDInt32 || v.Value.IsArray() {
		return 0
	}
	return ua.NodeClass(binary.LittleEndian.Uint32(v.Value.Raw[1:]))
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
	if at < 0 || classOf(n) != ua.NodeClassVariable {
		return nil
	}
	value := n.Attributes[at].Value
	n.Attributes = slices.Delete(n.Attributes, at, at+1)
	return bytes.Clone(value)
}
