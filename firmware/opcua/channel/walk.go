package channel

import (
	"reflect"
	"time"

	"github.com/gopcua/opcua/ua"
)

// walk follows the library's decoder over the bytes without building anything.
type walk struct {
	reader
	elements int
}

func (w *walk) refuse() { w.bad, w.b = true, nil }

// enter reports whether one level deeper is allowed.
func (w *walk) enter(depth int) bool {
	if depth == 0 {
		w.refuse()
	}
	return !w.bad
}

func (w *walk) value(t reflect.Type, depth int) {
	if !w.enter(depth) {
		return
	}
	switch t {
	case reflect.TypeFor[*ua.NodeID]():
		w.nodeID()
		return
	case reflect.TypeFor[*ua.ExpandedNodeID]():
		w.expandedNodeID()
		return
	case reflect.TypeFor[*ua.GUID]():
		w.skip(16)
		return
	case reflect.TypeFor[*ua.LocalizedText]():
		w.localizedText()
		return
	case reflect.TypeFor[*ua.DiagnosticInfo]():
		w.diagnosticInfo(min(depth, maxDiagnosticDepth))
		return
	case reflect.TypeFor[*ua.ExtensionObject]():
		w.extension(depth)
		return
	case reflect.TypeFor[*ua.DataValue]():
		w.dataValue(depth)
		return
	case reflect.TypeFor[*ua.Variant]():
		w.variant(depth)
		return
	}
	if t.Implements(reflect.TypeFor[ua.BinaryDecoder]()) {
		w.refuse() // a type with a decoder that is not checked here
		return
	}
	if t.ConvertibleTo(reflect.TypeFor[time.Time]()) {
		w.skip(8)
		return
	}
	w.kind(t, depth)
}

func (w *walk) kind(t reflect.Type, depth int) {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		w.skip(1)
	case reflect.Int16, reflect.Uint16:
		w.skip(2)
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		w.skip(4)
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		w.skip(8)
	case reflect.String:
		w.bytes()
	case reflect.Pointer:
		w.value(t.Elem(), depth)
	case reflect.Struct:
		for i := 0; i < t.NumField() && !w.bad; i++ {
			w.value(t.Field(i).Type, depth-1)
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			w.bytes()
			return
		}
		for n := w.length(); n > 0 && !w.bad; n-- {
			w.value(t.Elem(), depth-1)
		}
	default:
		w.refuse()
	}
}

// length reads the length of an array: each element takes a byte at least.
func (w *walk) length() int {
	n := w.uint32()
	if n == 0xffffffff {
		return 0
	}
	if int64(n) > int64(len(w.b)) || int64(n) > int64(w.elements) {
		w.refuse()
		return 0
	}
	w.elements -= int(n)
	return int(n)
}

func (w *walk) expandedNodeID() {
	if len(w.b) == 0 {
		w.refuse()
		return
	}
	flags := w.b[0]
	plain := reader{b: w.b[1:]}
	switch flags & 0x3f { // the flags share the byte with the kind
	case 0:
		plain.skip(1)
	case 1:
		plain.skip(3)
	case 2:
		plain.skip(6)
	case 3, 5:
		plain.skip(2)
		plain.bytes()
	case 4:
		plain.skip(18)
	default:
		plain.bad = true
	}
	if flags&0x80 != 0 {
		plain.bytes()
	}
	if flags&0x40 != 0 {
		plain.skip(4)
	}
	w.b, w.bad = plain.b, plain.bad
}

func (w *walk) localizedText() {
	mask := w.byte()
	if mask&1 != 0 {
		w.bytes()
	}
	if mask&2 != 0 {
		w.bytes()
	}
}

func (w *walk) dataValue(depth int) {
	mask := w.byte()
	if mask&0x01 != 0 {
		w.variant(depth - 1)
	}
	for _, f := range [...]struct {
		bit  byte
		size int
	}{{0x02, 4}, {0x04, 8}, {0x10, 2}, {0x08, 8}, {0x20, 2}} {
		if mask&f.bit != 0 {
			w.skip(f.size)
		}
	}
}

// extension walks into the body of a type the library would decode.
func (w *walk) extension(depth int) {
	start := w.b
	w.nodeID()
	if w.bad {
		return
	}
	typeID := start[:len(start)-len(w.b)]
	mask := w.byte()
	if mask > 2 {
		w.refuse()
	}
	if mask == 0 || w.bad {
		return
	}
	body := w.bytes()
	if mask == 2 || len(body) == 0 || w.bad {
		return
	}
	probe := append(append(make([]byte, 0, 32+len(typeID)), typeID...), 1, 1, 0, 0, 0, 0)
	var known ua.ExtensionObject
	_, _ = known.Decode(probe) // finds the type; one byte is nothing to decode
	if known.Value == nil {
		return // the library skips it too
	}
	inner := walk{reader: reader{b: body}, elements: w.elements}
	inner.value(reflect.TypeOf(known.Value), depth-1)
	w.elements = inner.elements
	if inner.bad {
		w.refuse()
	}
}

// variant walks a Variant (OPC 10000-6 §5.2.2.16).
func (w *walk) variant(depth int) {
	if !w.enter(depth) {
		return
	}
	mask := w.byte()
	kind := ua.TypeID(mask & 0x3f)
	if kind == ua.TypeIDNull {
		return
	}
	if mask&0x80 == 0 { // a scalar: the library reads no dimensions then
		w.scalar(kind, depth)
		return
	}
	count := w.length()
	for n := count; n > 0 && !w.bad; n-- {
		w.scalar(kind, depth)
	}
	if mask&0x40 != 0 {
		w.dimensions(count)
	}
}

// dimensions must multiply to the number of elements: the library makes a slice for each of
// them, and multiplies them without an overflow check.
func (w *walk) dimensions(elements int) {
	n := w.length()
	if n > maxDimensions {
		w.refuse()
	}
	product := int64(1)
	for ; n > 0 && !w.bad; n-- {
		if product *= int64(int32(w.uint32())); product < 1 || product > int64(elements) {
			w.refuse()
		}
	}
}

func (w *walk) scalar(kind ua.TypeID, depth int) {
	switch kind {
	case ua.TypeIDBoolean, ua.TypeIDSByte, ua.TypeIDByte:
		w.skip(1)
	case ua.TypeIDInt16, ua.TypeIDUint16:
		w.skip(2)
	case ua.TypeIDInt32, ua.TypeIDUint32, ua.TypeIDFloat, ua.TypeIDStatusCode:
		w.skip(4)
	case ua.TypeIDInt64, ua.TypeIDUint64, ua.TypeIDDouble, ua.TypeIDDateTime:
		w.skip(8)
	case ua.TypeIDString, ua.TypeIDByteString, ua.TypeIDXMLElement:
		w.bytes()
	case ua.TypeIDGUID:
		w.skip(16)
	case ua.TypeIDNodeID:
		w.nodeID()
	case ua.TypeIDExpandedNodeID:
		w.expandedNodeID()
	case ua.TypeIDQualifiedName:
		w.skip(2)
		w.bytes()
	case ua.TypeIDLocalizedText:
		w.localizedText()
	case ua.TypeIDExtensionObject:
		w.extension(depth - 1)
	case ua.TypeIDDataValue:
		w.dataValue(depth - 1)
	case ua.TypeIDVariant:
		w.variant(depth - 1)
	case ua.TypeIDDiagnosticInfo:
		w.diagnosticInfo(min(depth, maxDiagnosticDepth))
	default:
		w.refuse()
	}
}
