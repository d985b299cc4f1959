package rawvalue

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Equal tells whether two Variants are the same bytes; no value and a null one are
// alike. Two NaNs with other bits differ, as do −0 and 0.
func (v Variant) Equal(w Variant) bool {
	return v.IsNull() && w.IsNull() || bytes.Equal(v.Raw, w.Raw)
}

// Equal tells whether two DataValues are the same bytes.
func (d DataValue) Equal(e DataValue) bool { return bytes.Equal(d.Raw, e.Raw) }

// Filter decides which changes a monitored item reports. The zero value reports
// changes of the status alone; NewFilter says what the standard's default is.
type Filter struct {
	trigger  ua.DataChangeTrigger
	deadband float64 // absolute; negative for none
}

// NewFilter makes the filter of a monitored item from the fields of its
// DataChangeFilter; without one the standard's default is StatusValue and no
// deadband. euRange is the item's EURange property, for a percent deadband.
func NewFilter(trigger ua.DataChangeTrigger, kind ua.DeadbandType, deadband float64, euRange Variant) (Filter, error) {
	f := Filter{trigger: trigger, deadband: -1}
	if trigger > ua.DataChangeTriggerStatusValueTimestamp {
		return f, &Error{Code: ua.StatusBadMonitoredItemFilterInvalid, What: "trigger of the filter is unknown"}
	}
	bad := !(deadband >= 0) || math.IsInf(deadband, 0) // a NaN is bad
	switch kind {
	case ua.DeadbandTypeNone:
		return f, nil
	case ua.DeadbandTypeAbsolute:
		f.deadband = deadband
	case ua.DeadbandTypePercent:
		low, high, ok := EURange(euRange)
		if !ok {
			return f, &Error{Code: ua.StatusBadMonitoredItemFilterUnsupported, What: "percent deadband needs an EURange"}
		}
		bad = bad || deadband > 100
		f.deadband = deadband / 100 * (high - low)
	default:
		bad = true
	}
	if bad {
		return f, &Error{Code: ua.StatusBadDeadbandFilterInvalid, What: "deadband is unknown or out of its range"}
	}
	return f, nil
}

// EURange reads a Range structure: two Doubles, the low one first.
func EURange(v Variant) (low, high float64, ok bool) {
	o, ok := v.ExtensionObject()
	if !ok || o.Encoding != bodyBinary || len(o.Body) != 16 {
		return 0, 0, false
	}
	t, err := ParseNodeID(o.TypeID)
	if err != nil || t != (NodeID{Number: id.Range_Encoding_DefaultBinary}) {
		return 0, 0, false
	}
	low = math.Float64frombits(binary.LittleEndian.Uint64(o.Body))
	high = math.Float64frombits(binary.LittleEndian.Uint64(o.Body[8:]))
	return low, high, high > low && !math.IsInf(high-low, 0)
}

// IsNumber tells whether a deadband can be applied to a value of this type.
func IsNumber(t ua.TypeID) bool { return t >= ua.TypeIDSByte && t <= ua.TypeIDDouble }

// Changed tells whether now is to be reported after last was.
func (f Filter) Changed(last, now DataValue) bool {
	switch {
	case last.Status != now.Status:
		return true
	case f.trigger == ua.DataChangeTriggerStatus:
		return false
	case f.deadband >= 0:
		return f.beyond(last.Value, now.Value)
	case !last.Value.Equal(now.Value):
		return true
	case f.trigger == ua.DataChangeTriggerStatusValue:
		return false
	}
	const mask = ua.DataValueSourceTimestamp
	return last.Has(mask) != now.Has(mask) || last.SourceTime != now.SourceTime || last.SourcePico != now.SourcePico
}

// beyond tells whether a value left the deadband around the last one: in any of its
// elements, or in shape. A value that is no number leaves it with any change.
func (f Filter) beyond(last, now Variant) bool {
	t := now.Type()
	if last.Equal(now) {
		return false
	}
	if !IsNumber(t) || last.Raw == nil || last.Raw[0] != now.Raw[0] || last.count != now.count ||
		!bytes.Equal(last.Raw[last.tail:], now.Raw[now.tail:]) {
		return true
	}
	size := fixedSize(t)
	a, b := last.Elements(), now.Elements()
	for ; len(a) > 0; a, b = a[size:], b[size:] {
		if distance(t, a, b) > f.deadband {
			return true
		}
	}
	return false
}

// distance returns |a−b|. It is exact before it is rounded; a number is infinitely
// far from NaN, and NaN not at all from NaN.
func distance(t ua.TypeID, a, b []byte) float64 {
	switch t {
	case ua.TypeIDFloat:
		return apart(float64(math.Float32frombits(binary.LittleEndian.Uint32(a))), float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	case ua.TypeIDDouble:
		return apart(math.Float64frombits(binary.LittleEndian.Uint64(a)), math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	x, y := integer(t, a), integer(t, b)
	less := int64(x) < int64(y)
	if t == ua.TypeIDUint64 {
		less = x < y
	}
	if less {
		x, y = y, x
	}
	return float64(x - y) // modulo 2⁶⁴, in which every difference fits
}

func apart(x, y float64) float64 {
	switch {
	case x == y || math.IsNaN(x) && math.IsNaN(y):
		return 0
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Inf(1)
	}
	return math.Abs(x - y)
}

// integer reads an integer and extends its sign.
func integer(t ua.TypeID, b []byte) uint64 {
	switch t {
	case ua.TypeIDSByte:
		return uint64(int8(b[0]))
	case ua.TypeIDByte:
		return uint64(b[0])
	case ua.TypeIDInt16:
		return uint64(int16(binary.LittleEndian.Uint16(b)))
	case ua.TypeIDUint16:
		return uint64(binary.LittleEndian.Uint16(b))
	case ua.TypeIDInt32:
		return uint64(int32(binary.LittleEndian.Uint32(b)))
	case ua.TypeIDUint32:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}
