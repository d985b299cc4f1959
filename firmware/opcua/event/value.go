package event

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"

	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/ua"
)

// value is a decoded scalar; an array keeps its raw bytes.
type value struct {
	t     ua.TypeID // 0: null
	array bool
	n     int64 // whole numbers, Booleans, DateTimes; the bits of a UInt64
	f     float64
	b     []byte // texts, ByteStrings, Guids and the rest
}

func boolean(b bool) value {
	if b {
		return value{t: ua.TypeIDBoolean, n: 1}
	}
	return value{t: ua.TypeIDBoolean}
}

// decode decodes a raw Variant; one that cannot be decoded is null.
func decode(raw []byte) value {
	if len(raw) == 0 {
		return value{}
	}
	v, err := rawvalue.SkimVariant(raw, rawvalue.Limits{})
	if err != nil || v.IsNull() {
		return value{}
	}
	if v.IsArray() {
		return value{t: v.Type(), array: true, b: v.Raw}
	}
	return scalar(v.Type(), v.Elements())
}

func scalar(t ua.TypeID, e []byte) value {
	le := binary.LittleEndian
	x := value{t: t, b: e}
	switch t {
	case ua.TypeIDBoolean:
		return boolean(e[0] != 0)
	case ua.TypeIDByte:
		x.n = int64(e[0])
	case ua.TypeIDSByte:
		x.n = int64(int8(e[0]))
	case ua.TypeIDInt16:
		x.n = int64(int16(le.Uint16(e)))
	case ua.TypeIDUint16:
		x.n = int64(le.Uint16(e))
	case ua.TypeIDInt32:
		x.n = int64(int32(le.Uint32(e)))
	case ua.TypeIDUint32, ua.TypeIDStatusCode:
		x.n = int64(le.Uint32(e))
	case ua.TypeIDInt64, ua.TypeIDUint64, ua.TypeIDDateTime:
		x.n = int64(le.Uint64(e))
	case ua.TypeIDFloat:
		x.f = float64(math.Float32frombits(le.Uint32(e)))
	case ua.TypeIDDouble:
		x.f = math.Float64frombits(le.Uint64(e))
	case ua.TypeIDString, ua.TypeIDByteString, ua.TypeIDXMLElement, ua.TypeIDQualifiedName, ua.TypeIDLocalizedText:
		x.b = text(t, e)
		if x.b == nil {
			return value{}
		}
	}
	return x
}

// text returns the part of a text that is compared: not the locale, nor the namespace.
func text(t ua.TypeID, e []byte) []byte {
	c := rawvalue.NewCursor(e, rawvalue.Limits{})
	switch t {
	case ua.TypeIDQualifiedName:
		return c.QualifiedName().Name
	case ua.TypeIDLocalizedText:
		return c.LocalizedText().Text
	}
	return c.Bytes()
}

// nodeID returns the NodeId, null if it is another type or a node of another server.
func (x value) nodeID() rawvalue.NodeID {
	if x.array || x.t != ua.TypeIDNodeID && x.t != ua.TypeIDExpandedNodeID {
		return rawvalue.NodeID{}
	}
	node, _ := rawvalue.ParseNodeID(x.b)
	return node
}

// precedence orders the types by precedence (OPC 10000-4 §7.7.4); 0 is not converted.
func precedence(t ua.TypeID) int {
	switch t {
	case ua.TypeIDDouble:
		return 12
	case ua.TypeIDFloat:
		return 11
	case ua.TypeIDInt64:
		return 10
	case ua.TypeIDUint64:
		return 9
	case ua.TypeIDInt32:
		return 8
	case ua.TypeIDUint32:
		return 7
	case ua.TypeIDStatusCode:
		return 6
	case ua.TypeIDInt16:
		return 5
	case ua.TypeIDUint16:
		return 4
	case ua.TypeIDSByte:
		return 3
	case ua.TypeIDByte:
		return 2
	case ua.TypeIDBoolean:
		return 1
	}
	return 0
}

func isText(t ua.TypeID) bool {
	return t == ua.TypeIDString || t == ua.TypeIDLocalizedText || t == ua.TypeIDQualifiedName
}

func isNode(t ua.TypeID) bool { return t == ua.TypeIDNodeID || t == ua.TypeIDExpandedNodeID }

// compare compares two values after converting the one of lower precedence. Values that cannot
// be compared, as null, are neither equal nor ordered.
func compare(x, y value) (order int, equal, ordered bool) {
	switch {
	case x.t == 0 || y.t == 0:
		return 0, false, false
	case x.array || y.array:
		return 0, x.array && y.array && bytes.Equal(x.b, y.b), false
	case isNode(x.t) && isText(y.t):
		return 0, x.nodeID().String() == string(y.b), false
	case isText(x.t) && isNode(y.t):
		return compare(y, x)
	case isNode(x.t) && isNode(y.t):
		if x.nodeID() == (rawvalue.NodeID{}) {
			return 0, bytes.Equal(x.b, y.b), false
		}
		return 0, x.nodeID() == y.nodeID(), false
	}
	if x.t != y.t && !(isText(x.t) && isText(y.t)) {
		ok := false
		if precedence(x.t) > precedence(y.t) {
			y, ok = convert(y, x.t)
		} else if precedence(y.t) > 0 {
			x, ok = convert(x, y.t)
		}
		if !ok {
			return 0, false, false
		}
	}
	return compareSameType(x, y)
}

// compareSameType orders two values of one type.
func compareSameType(x, y value) (order int, equal, ordered bool) {
	switch {
	case x.t == ua.TypeIDDouble || x.t == ua.TypeIDFloat:
		if x.f != x.f || y.f != y.f {
			return 0, false, false
		}
		order = cmp.Compare(x.f, y.f)
	case x.t == ua.TypeIDUint64:
		order = cmp.Compare(uint64(x.n), uint64(y.n))
	case precedence(x.t) > 0 || x.t == ua.TypeIDDateTime:
		order = cmp.Compare(x.n, y.n)
	default:
		order = bytes.Compare(x.b, y.b)
		return order, order == 0, isText(x.t) || x.t == ua.TypeIDByteString
	}
	return order, order == 0, true
}

// convert converts a value to another type; false if the result does not fit.
func convert(x value, t ua.TypeID) (value, bool) {
	switch {
	case x.t == 0 || x.array:
		return value{}, false
	case x.t == t:
		return x, true
	case t == ua.TypeIDString:
		return toText(x)
	case precedence(t) == 0:
		return value{}, false
	case isText(x.t):
		return parseText(x.b, t)
	case precedence(x.t) == 0:
		return value{}, false
	}
	f, whole := x.f, false
	switch x.t {
	case ua.TypeIDDouble, ua.TypeIDFloat:
	case ua.TypeIDUint64:
		f, whole = float64(uint64(x.n)), x.n >= 0
	default:
		f, whole = float64(x.n), true
	}
	switch t {
	case ua.TypeIDDouble:
		return value{t: t, f: f}, true
	case ua.TypeIDFloat:
		return value{t: t, f: float64(float32(f))}, true
	case ua.TypeIDBoolean:
		return boolean(f != 0), f == f
	}
	if whole {
		return value{t: t, n: x.n}, fits(x.n, t)
	}
	f = math.RoundToEven(f)
	if t == ua.TypeIDUint64 {
		return value{t: t, n: int64(uint64(f))}, f >= 0 && f < 1<<64
	}
	return value{t: t, n: int64(f)}, f >= -(1<<63) && f < 1<<63 && fits(int64(f), t)
}

func fits(n int64, t ua.TypeID) bool {
	switch t {
	case ua.TypeIDByte:
		return n >= 0 && n <= math.MaxUint8
	case ua.TypeIDSByte:
		return n >= math.MinInt8 && n <= math.MaxInt8
	case ua.TypeIDUint16:
		return n >= 0 && n <= math.MaxUint16
	case ua.TypeIDInt16:
		return n >= math.MinInt16 && n <= math.MaxInt16
	case ua.TypeIDUint32, ua.TypeIDStatusCode:
		return n >= 0 && n <= math.MaxUint32
	case ua.TypeIDInt32:
		return n >= math.MinInt32 && n <= math.MaxInt32
	case ua.TypeIDUint64:
		return n >= 0
	}
	return true
}

func parseText(s []byte, t ua.TypeID) (value, bool) {
	if len(s) > maxNumber {
		return value{}, false
	}
	return parseNumber(string(s), t)
}

func parseNumber(s string, t ua.TypeID) (value, bool) {
	switch t {
	case ua.TypeIDBoolean:
		return boolean(s == "true" || s == "1"), s == "true" || s == "false" || s == "1" || s == "0"
	case ua.TypeIDDouble, ua.TypeIDFloat:
		f, err := strconv.ParseFloat(s, 64)
		x, _ := convert(value{t: ua.TypeIDDouble, f: f}, t)
		return x, err == nil
	case ua.TypeIDUint64:
		u, err := strconv.ParseUint(s, 10, 64)
		return value{t: t, n: int64(u)}, err == nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return value{t: t, n: n}, err == nil && fits(n, t)
}

func toText(x value) (value, bool) {
	s := value{t: ua.TypeIDString}
	switch {
	case isText(x.t):
		s.b = x.b
	case x.t == ua.TypeIDBoolean:
		s.b = strconv.AppendBool(nil, x.n != 0)
	case x.t == ua.TypeIDDouble || x.t == ua.TypeIDFloat:
		s.b = strconv.AppendFloat(nil, x.f, 'g', -1, 64)
	case x.t == ua.TypeIDUint64:
		s.b = strconv.AppendUint(nil, uint64(x.n), 10)
	case precedence(x.t) > 0:
		s.b = strconv.AppendInt(nil, x.n, 10)
	case isNode(x.t):
		s.b = []byte(x.nodeID().String())
	default:
		return value{}, false
	}
	return s, true
}
