package rawvalue

import (
	"encoding/binary"

	"github.com/gopcua/opcua/ua"
)

const severity = 0xc000_0000 // OPC 10000-4 §7.39: 00 good, 01 uncertain, 10 bad

// Overlay returns the worse of the source's status and the server's, and the source's if they
// are of the same severity.
func Overlay(source, server ua.StatusCode) ua.StatusCode {
	if server&severity > source&severity {
		return server
	}
	return source
}

// Answer is how a server returns a DataValue. The zero value returns the source timestamp
// only, as the zero TimestampsToReturn does.
type Answer struct {
	Timestamps ua.TimestampsToReturn
	Overlay    ua.StatusCode // see function Overlay
	Overflow   bool          // sets the Overflow bit: a queue lost values
	ServerTime int64         // a DateTime, for values without a server timestamp; 0: none
}

// Specification constants.
const overflow = 0x0000_0480 // InfoType DataValue, Overflow

// Append appends the DataValue with the fields of the answer: the Variant and all other
// fields that are kept are copied byte by byte.
func (d DataValue) Append(dst []byte, a Answer) []byte {
	return d.AppendWith(dst, a, d.Value.Raw)
}

// AppendWith is Append with another Variant, such as an index range; nil for none.
func (d DataValue) AppendWith(dst []byte, a Answer, variant []byte) []byte {
	source := a.Timestamps == ua.TimestampsToReturnSource || a.Timestamps == ua.TimestampsToReturnBoth
	server := a.Timestamps == ua.TimestampsToReturnServer || a.Timestamps == ua.TimestampsToReturnBoth
	mask := byte(0)
	if len(d.Raw) > 0 {
		mask = d.Raw[0] &^ ua.DataValueValue
	}
	if len(variant) > 0 {
		mask |= ua.DataValueValue
	}
	status := Overlay(d.Status, a.Overlay)
	if a.Overflow {
		status |= overflow
	}
	if status != 0 { // an encoded Good stays encoded
		mask |= ua.DataValueStatusCode
	}
	if !source {
		mask &^= ua.DataValueSourceTimestamp | ua.DataValueSourcePicoseconds
	}
	serverTime := d.ServerTime
	switch {
	case !server:
		mask &^= ua.DataValueServerTimestamp | ua.DataValueServerPicoseconds
	case mask&ua.DataValueServerTimestamp == 0 && a.ServerTime != 0:
		mask |= ua.DataValueServerTimestamp
		mask &^= ua.DataValueServerPicoseconds
		serverTime = a.ServerTime
	}
	dst = append(append(dst, mask), variant...)
	if mask&ua.DataValueStatusCode != 0 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(status))
	}
	if mask&ua.DataValueSourceTimestamp != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(d.SourceTime))
	}
	if mask&ua.DataValueSourcePicoseconds != 0 {
		dst = binary.LittleEndian.AppendUint16(dst, d.SourcePico)
	}
	if mask&ua.DataValueServerTimestamp != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(serverTime))
	}
	if mask&ua.DataValueServerPicoseconds != 0 {
		dst = binary.LittleEndian.AppendUint16(dst, d.ServerPico)
	}
	return dst
}

// AppendStatus appends a DataValue without a value, as for a variable whose value is not
// known.
func AppendStatus(dst []byte, status ua.StatusCode, a Answer) []byte {
	bare := [1]byte{ua.DataValueStatusCode}
	return DataValue{Raw: bare[:], Status: status}.AppendWith(dst, a, nil)
}
