package opcua

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

const (
	formNone    = 0
	formRaw     = 1
	formDouble  = 2
	formFloat32 = 3 // a Double
	formDecimal = 4 // a Double, to formDecimal + maxPlaces
	formFloat   = 14
	formString  = 15
	formInteger = 16 // + built-in type

	maxPlaces = 9

	headForm   = 0x1f
	headStatus = 0x20
	headTicks  = 0x40
	headNoTime = 0x80
)

// The mask bits of a DataValue (OPC 10000-6 §5.2.2.17).
const (
	hasValue      = 0x01
	hasStatus     = 0x02
	hasSourceTime = 0x04
	hasSourcePico = 0x10
)

// RecordTime returns a DateTime as the time of a record. ok is false where nanoseconds
// since 1970 cannot hold it, or would be 0, which stands for none.
func RecordTime(ticks int64) (t time.Time, ok bool) {
	const most = math.MaxInt64 / 100 // ticks that fit into nanoseconds
	if ticks < uabinary.UnixEpoch-most || ticks > uabinary.UnixEpoch+most || ticks == uabinary.UnixEpoch {
		return time.Time{}, false
	}
	return uabinary.Time(ticks), true
}

// AppendValue appends the payload of a DataValue. at is the time for its record, zero if the
// payload has it or there is none.
func AppendValue(dst []byte, v rawvalue.DataValue) (_ []byte, at time.Time) {
	head := len(dst)
	dst = append(dst, 0)
	if v.Status != ua.StatusOK {
		dst[head] |= headStatus
		dst = binary.LittleEndian.AppendUint32(dst, uint32(v.Status))
	}
	if !v.Has(hasSourceTime) {
		dst[head] |= headNoTime
	} else if t, ok := RecordTime(v.SourceTime); ok && v.SourcePico == 0 {
		at = t
	} else {
		dst[head] |= headTicks
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v.SourceTime))
		dst = binary.LittleEndian.AppendUint16(dst, v.SourcePico)
	}
	if !v.Has(hasValue) {
		return dst, at
	}
	return appendForm(dst, head, v.Value), at
}

// appendForm appends a Variant in its shortest form, and stores the form in the head.
func appendForm(dst []byte, head int, v rawvalue.Variant) []byte {
	form, body := byte(formRaw), v.Raw
	if len(v.Raw) > 1 && !v.IsArray() {
		data := v.Raw[1:]
		switch t := v.Type(); {
		case t == ua.TypeIDDouble:
			return appendDouble(dst, head, data)
		case t == ua.TypeIDFloat:
			form, body = formFloat, data
		case t == ua.TypeIDString && int32(binary.LittleEndian.Uint32(data)) >= 0:
			form, body = formString, data[4:]
		case t >= ua.TypeIDBoolean && t <= ua.TypeIDUint64:
			form, body = formInteger+byte(t), minimal(data, signed(t))
		}
	}
	dst[head] |= form
	return append(dst, body...)
}

func signed(t ua.TypeID) bool {
	return t == ua.TypeIDSByte || t == ua.TypeIDInt16 || t == ua.TypeIDInt32 || t == ua.TypeIDInt64
}

// minimal removes the bytes that extend restores.
func minimal(b []byte, signed bool) []byte {
	n := len(b)
	for n > 0 {
		fill := byte(0)
		if signed && n > 1 && b[n-2]&0x80 != 0 {
			fill = 0xff
		}
		if b[n-1] != fill {
			break
		}
		n--
	}
	return b[:n]
}

func extend(dst, b []byte, size int, signed bool) []byte {
	fill := byte(0)
	if signed && len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		fill = 0xff
	}
	dst = append(dst, b...)
	for range size - len(b) {
		dst = append(dst, fill)
	}
	return dst
}

// appendDouble appends a Double in the shortest form that restores its bits. Most measured
// values were decimals, or Floats, before they became Doubles.
func appendDouble(dst []byte, head int, data []byte) []byte {
	bits := binary.LittleEndian.Uint64(data)
	f := math.Float64frombits(bits)
	single := float32(f)
	holds := f == f && math.Float64bits(float64(single)) == bits // a NaN may lose bits in the conversion
	if places, m, ok := decimal(f, bits); ok {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(m))
		if short := minimal(b[:], true); len(short) < 7 && (len(short) <= 4 || !holds) {
			dst[head] |= formDecimal + places
			return append(dst, short...)
		}
	}
	if holds {
		dst[head] |= formFloat32
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(single))
	}
	dst[head] |= formDouble
	return append(dst, data...)
}

// decimal returns f as an integer with the fewest decimal places that represent it exactly.
func decimal(f float64, bits uint64) (places byte, m int64, ok bool) {
	for places, scale := range powers {
		scaled := math.RoundToEven(f * scale)
		if !(math.Abs(scaled) < 1<<47) {
			break
		}
		if m := int64(scaled); math.Float64bits(float64(m)/scale) == bits {
			return byte(places), m, true
		}
	}
	return 0, 0, false
}

var powers = [maxPlaces + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// Worsen returns a copy of a payload with another status; nil if the payload is malformed or
// its value is not Good already.
func Worsen(payload []byte, code ua.StatusCode) []byte {
	if len(payload) == 0 {
		return nil
	}
	rest := payload[1:]
	if payload[0]&headStatus != 0 {
		if len(rest) < 4 || binary.LittleEndian.Uint32(rest)>>30 != 0 {
			return nil
		}
		rest = rest[4:]
	}
	b := append(make([]byte, 0, 5+len(rest)), payload[0]|headStatus)
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	return append(b, rest...)
}

// ParseValue appends the DataValue of a payload; at is the record's time.
func ParseValue(dst, payload []byte, at time.Time) ([]byte, error) {
	r := reader{b: payload}
	head := r.byte()
	start := len(dst)
	dst = append(dst, 0)
	var status []byte
	if head&headStatus != 0 {
		status = r.next(4)
	}
	var stamp [10]byte
	mask := byte(hasSourceTime)
	switch head & (headTicks | headNoTime) {
	case headTicks:
		copy(stamp[:], r.next(10))
		if stamp[8]|stamp[9] != 0 {
			mask |= hasSourcePico
		}
	case headNoTime:
		mask = 0
	case 0:
		binary.LittleEndian.PutUint64(stamp[:], uint64(uabinary.Ticks(at)))
	default:
		return dst[:start], ErrMalformed
	}
	if r.broken {
		return dst[:start], ErrMalformed
	}
	if form := head & headForm; form != formNone {
		mask |= hasValue
		var ok bool
		if dst, ok = appendVariant(dst, form, r.b); !ok {
			return dst[:start], ErrMalformed
		}
	} else if len(r.b) > 0 {
		return dst[:start], ErrMalformed
	}
	if len(status) > 0 && binary.LittleEndian.Uint32(status) != 0 {
		mask |= hasStatus
		dst = append(dst, status...)
	}
	if mask&hasSourceTime != 0 {
		dst = append(dst, stamp[:8]...)
	}
	if mask&hasSourcePico != 0 {
		dst = append(dst, stamp[8:]...)
	}
	dst[start] = mask
	return dst, nil
}

func appendVariant(dst []byte, form byte, b []byte) ([]byte, bool) {
	switch {
	case form == formRaw:
		v, err := rawvalue.SkimVariant(b, rawvalue.Limits{})
		return append(dst, b...), err == nil && len(v.Raw) == len(b)
	case form == formDouble:
		return append(append(dst, byte(ua.TypeIDDouble)), b...), len(b) == 8
	case form == formFloat32 && len(b) == 4:
		f := math.Float32frombits(binary.LittleEndian.Uint32(b))
		return appendFloat64(dst, float64(f)), true
	case form >= formDecimal && form <= formDecimal+maxPlaces && len(b) < 8:
		var m [8]byte
		extend(m[:0], b, 8, true)
		return appendFloat64(dst, float64(int64(binary.LittleEndian.Uint64(m[:])))/powers[form-formDecimal]), true
	case form == formFloat:
		return append(append(dst, byte(ua.TypeIDFloat)), b...), len(b) == 4
	case form == formString:
		dst = binary.LittleEndian.AppendUint32(append(dst, byte(ua.TypeIDString)), uint32(len(b)))
		return append(dst, b...), true
	case form > formInteger && form <= formInteger+byte(ua.TypeIDUint64):
		t := ua.TypeID(form - formInteger)
		size := sizes[t]
		return extend(append(dst, byte(t)), b, size, signed(t)), len(b) <= size
	}
	return dst, false
}

// sizes of the built-in types Boolean to UInt64.
var sizes = [...]int{1: 1, 1, 1, 2, 2, 4, 4, 8, 8}

func appendFloat64(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, byte(ua.TypeIDDouble)), math.Float64bits(f))
}
