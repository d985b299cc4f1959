package rawvalue

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Equal reports whether two DataValues have the same bytes.
func (d DataValue) Equal(e DataValue) bool { return bytes.Equal(d.Raw, e.Raw) }

// Filter decides which changes a monitored item reports (DataChangeFilter). The zero value
// reports changes of the status only.
type Filter struct {
	trigger  ua.DataChangeTrigger
	deadband float64 // absolute; negative: none
}

// NewFilter makes the filter of a monitored item from the fields of its
// DataChangeFilter; without one the standard's default is StatusValue and no
// deadband. euRange is the item's EURange property, for a percent deadband.
func NewFilter(trigger ua.DataChangeTrigger, kind ua.DeadbandType, deadband float64, euRange Variant) (Filter, error) {
	f := Filter{trigger: trigger, deadband: -1}
	if trigger > ua.DataChangeTriggerStatusValueTimestamp {
		return f, &Error{Code: ua.StatusBadMonitoredItemFilterInvalid, What: "unknown trigger of a filter"}
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
			return f, &Error{Code: ua.StatusBadMonitoredItemFilterUnsupported,
				What: "percent deadband needs an EURange"}
		}
		bad = bad || deadband > 100
		f.deadband = deadband / 100 * (high - low)
	default:
		bad = true
	}
	if bad {
		return f, &Error{Code: ua.StatusBadDeadbandFilterInvalid,
			What: "deadband has an unknown type or is out of range"}
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

// IsNumber reports whether a deadband can be applied to a value of this type.
func IsNumber(t ua.TypeID) bool { return t >= ua.TypeIDSByte && t <= ua.TypeIDDouble }

// Trace is what a Filter keeps of a reported value: enough to detect another one, but the
// value itself only for a deadband. Otherwise an item with a filter would keep a copy of a
// large array. No value and a null one are equal; NaNs with different bits differ, as do −0
// and 0.
//
// Values are compared by 64 bits of a hash with a secret key: at 100 000 changes a second,
// one is missed in six million years.
type Trace struct {
	sum    uint64 // of the value
	source int64
	status ua.StatusCode
	pico   uint16
	known  bool // there was a value
	timed  bool
	value  []byte // for a deadband
}

var key = maphash.MakeSeed()

func hash(v Variant) uint64 {
	if v.IsNull() {
		return 0
	}
	return maphash.Bytes(key, v.Raw)
}

// Known reports whether there was a value.
func (t *Trace) Known() bool { return t.known }

// Value returns what a deadband is measured from, or nil.
func (t *Trace) Value() []byte { return t.value }

// Forget drops the value.
func (t *Trace) Forget() { t.value = nil }

// Trace returns what to keep of d. With a deadband it aliases d.
func (f Filter) Trace(d DataValue) Trace {
	t := Trace{sum: hash(d.Value), source: d.SourceTime, status: d.Status, pico: d.SourcePico, known: true,
		timed: d.Has(ua.DataValueSourceTimestamp)}
	if f.deadband >= 0 && IsNumber(d.Value.Type()) {
		t.value = d.Value.Raw
	}
	return t
}

// Changed reports whether to report now after last. If a deadband has no value to measure
// from, as when it has just been set, any change is reported.
func (f Filter) Changed(last *Trace, now DataValue) bool {
	switch {
	case !last.known || last.status != now.Status:
		return true
	case f.trigger == ua.DataChangeTriggerStatus:
		return false
	case last.sum != hash(now.Value):
		return f.deadband < 0 || f.exceedsDeadband(last.value, now.Value)
	case f.trigger == ua.DataChangeTriggerStatusValue || f.deadband >= 0:
		return false
	}
	return last.timed != now.Has(ua.DataValueSourceTimestamp) || last.source != now.SourceTime ||
		last.pico != now.SourcePico
}

// exceedsDeadband reports whether any element, or the shape, of a value differs from the last
// one by more than the deadband. A value that is not a number does with any change.
func (f Filter) exceedsDeadband(raw []byte, now Variant) bool {
	t := now.Type()
	last, err := SkimVariant(raw, Limits{})
	if err != nil || !IsNumber(t) || last.Raw[0] != now.Raw[0] || last.count != now.count ||
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
		return floatDistance(float64(math.Float32frombits(binary.LittleEndian.Uint32(a))),
			float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	case ua.TypeIDDouble:
		return floatDistance(math.Float64frombits(binary.LittleEndian.Uint64(a)),
			math.Float64frombits(binary.LittleEndian.Uint64(b)))
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

func floatDistance(x, y float64) float64 {
	switch {
	case x == y || math.IsNaN(x) && math.IsNaN(y):
		return 0
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Inf(1)
	}
	return math.Abs(x - y)
}

// integer reads an integer with its sign extended.
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
