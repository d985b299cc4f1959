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

// value is a scalar as the operators see it; an array keeps its raw bytes.
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

// decode reads a raw Variant; what cannot be read is null.
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

// text returns what stands for a text where it is compared; a locale does not.
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

// nodeID returns the NodeId, null for what is none or belongs to another server.
func (x value) nodeID() rawvalue.NodeID {
	if x.array || x.t != ua.TypeIDNodeID && x.t != ua.TypeIDExpandedNodeID {
		return rawvalue.NodeID{}
	}
	node, _ := rawvalue.ParseNodeID(x.b)
	return node
}

// rank orders the types by precedence (OPC 10000-4 §7.7.4); 0 is not converted.
func rank(t ua.TypeID) int {
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

// compare orders two values after converting the one of lower precedence. Not
// comparable at all, as null is, is neither equal nor ordered.
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
		if rank(x.t) > rank(y.t) {
			y, ok = convert(y, x.t)
		} else if rank(y.t) > 0 {
			x, ok = convert(x, y.t)
		}
		if !ok {
			return 0, false, false
		}
	}
	return order3(x, y)
}

// order3 orders two values of one type.
func order3(x, y value) (order int, equal, ordered bool) {
	switch {
	case x.t == ua.TypeIDDouble || x.t == ua.TypeIDFloat:
		if x.f != x.f || y.f != y.f {
			return 0, false, false
		}
		order = cmp.Compare(x.f, y.f)
	case x.t == ua.TypeIDUint64:
		order = cmp.Compare(uint64(x.n), uint64(y.n))
	case rank(x.t) > 0 || x.t == ua.TypeIDDateTime:
		order = cmp.Compare(x.n, y.n)
	default:
		order = bytes.Compare(x.b, y.b)
		return order, order == 0, isText(x.t) || x.t == ua.TypeIDByteString
	}
	return order, order == 0, true
}

// convert makes a number of a value, or a text of a text; false where the
// target cannot hold it.
func convert(x value, t ua.TypeID) (value, bool) {
	switch {
	case x.t == 0 || x.array:
		return value{}, false
	case x.t == t:
		return x, true
	case t == ua.TypeIDString:
		return toText(x)
	case rank(t) == 0:
		return value{}, false
	case isText(x.t):
		return parse(string(x.b), t)
	case rank(x.t) == 0:
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

func parse(s string, t ua.TypeID) (value, bool) {
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
	case rank(x.t) > 0:
		s.b = strconv.AppendInt(nil, x.n, 10)
	case isNode(x.t):
		s.b = []byte(x.nodeID().String())
	default:
		return value{}, false
	}
	return s, true
}
