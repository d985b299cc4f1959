package uabinary

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/ua"
)

// AppendTypeID appends the NodeId of an encoding: a number below 65,536 in namespace 0.
func AppendTypeID(b []byte, number uint32) []byte {
	return append(b, 1, 0, byte(number), byte(number>>8))
}

// AppendResponseHeader begins a response: its type, and a ResponseHeader without
// diagnostics (OPC 10000-4 §7.34).
func AppendResponseHeader(b []byte, typeID, handle uint32, result ua.StatusCode, at time.Time) []byte {
	b = AppendTypeID(b, typeID)
	b = AppendDateTime(b, at)
	b = binary.LittleEndian.AppendUint32(b, handle)
	b = binary.LittleEndian.AppendUint32(b, uint32(result))
	b = append(b, 0)                      // no diagnostics
	b = append(b, 0xff, 0xff, 0xff, 0xff) // no string table
	return append(b, 0, 0, 0)             // no additional header
}
