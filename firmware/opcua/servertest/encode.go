package servertest

import (
	"encoding/binary"
	"math"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Null is the length of a null array or string.
const Null = math.MaxUint32

// AppendUint32 appends a UInt32.
func AppendUint32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendText appends a String.
func AppendText(b []byte, s string) []byte { return append(AppendUint32(b, uint32(len(s))), s...) }

// Extension is an ExtensionObject with an encoding in namespace 0.
func Extension(kind uint32, body []byte) []byte {
	b := append(rawvalue.NodeID{Number: kind}.AppendTo(nil), 1)
	return append(AppendUint32(b, uint32(len(body))), body...)
}

// Texts is a DataValue with an array of Strings.
func Texts(list ...string) []byte {
	b := AppendUint32([]byte{ua.DataValueValue, 0x80 | byte(ua.TypeIDString)}, uint32(len(list)))
	for _, s := range list {
		b = AppendText(b, s)
	}
	return b
}

// Int32 is a DataValue with an Int32.
func Int32(v int32) []byte {
	return AppendUint32([]byte{ua.DataValueValue, byte(ua.TypeIDInt32)}, uint32(v))
}

// Uint32 is a DataValue with a UInt32.
func Uint32(v uint32) []byte {
	return AppendUint32([]byte{ua.DataValueValue, byte(ua.TypeIDUint32)}, v)
}

// ReadItem is an attribute that a Read asks for.
type ReadItem struct {
	Node      rawvalue.NodeID
	Attribute ua.AttributeID
}

// ReadItems returns what a Read asks for.
func ReadItems(r Request) (items []ReadItem) {
	r.Skip(8 + 4)
	for range r.Length(16) {
		node, _ := rawvalue.ParseNodeID(r.NodeID())
		items = append(items, ReadItem{node, ua.AttributeID(r.Uint32())})
		r.Bytes()
		r.QualifiedName()
	}
	return items
}

// Operations returns how many operations a request has, where it lists them; else 1.
func Operations(r Request) int {
	switch r.Kind {
	case id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:
		r.Skip(4 + 4)
	case id.ReadRequest_Encoding_DefaultBinary:
		r.Skip(8 + 4)
	case id.BrowseRequest_Encoding_DefaultBinary:
		r.Skip(2 + 12 + 4)
	case id.HistoryReadRequest_Encoding_DefaultBinary:
		r.ExtensionObject()
		r.Skip(4 + 1)
	default:
		return 1
	}
	return r.Length(1)
}
