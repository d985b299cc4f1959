package channel

import (
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

func requestHeader() *ua.RequestHeader {
	return &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0), Timestamp: time.Unix(1e9, 0).UTC(),
		RequestHandle: 5, AdditionalHeader: ua.NewExtensionObject(nil)}
}

func mustEncode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func samples(t testing.TB) [][]byte {
	value, err := ua.NewVariant([][]int32{{1, 2}, {3, 4}})
	if err != nil {
		t.Fatal(err)
	}
	filter := ua.NewExtensionObject(&ua.EventFilter{
		SelectClauses: []*ua.SimpleAttributeOperand{{
			TypeDefinitionID: ua.NewNumericNodeID(0, 2041), BrowsePath: []*ua.QualifiedName{{Name: "EventId"}},
			AttributeID: 13,
		}},
		WhereClause: &ua.ContentFilter{Elements: []*ua.ContentFilterElement{{
			FilterOperands: []*ua.ExtensionObject{ua.NewExtensionObject(&ua.LiteralOperand{Value: value})},
		}}},
	})
	return [][]byte{
		mustEncode(t, &ua.GetEndpointsRequest{RequestHeader: requestHeader(), EndpointURL: "opc.tcp://x",
			LocaleIDs: []string{"de", ""}}),
		mustEncode(t, &ua.ReadRequest{RequestHeader: requestHeader(), NodesToRead: []*ua.ReadValueID{
			{NodeID: ua.NewStringNodeID(2, "tag"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}}),
		mustEncode(t, &ua.WriteRequest{RequestHeader: requestHeader(), NodesToWrite: []*ua.WriteValue{
			{NodeID: ua.NewGUIDNodeID(2, "AAAABBBB-CCDD-EEFF-0102-0123456789AB"), AttributeID: 13,
				Value: &ua.DataValue{EncodingMask: 0x3f, Value: value}}}}),
		mustEncode(t, &ua.CreateMonitoredItemsRequest{RequestHeader: requestHeader(),
			ItemsToCreate: []*ua.MonitoredItemCreateRequest{{
				ItemToMonitor: &ua.ReadValueID{NodeID: ua.NewNumericNodeID(0, 2253),
					DataEncoding: &ua.QualifiedName{}},
				RequestedParameters: &ua.MonitoringParameters{Filter: filter}}}}),
		mustEncode(t, &ua.AddNodesRequest{RequestHeader: requestHeader(), NodesToAdd: []*ua.AddNodesItem{{
			ParentNodeID:       ua.NewExpandedNodeID(ua.NewNumericNodeID(0, 85), "urn:x", 7),
			ReferenceTypeID:    ua.NewTwoByteNodeID(35),
			RequestedNewNodeID: ua.NewTwoByteExpandedNodeID(0), BrowseName: &ua.QualifiedName{},
			NodeAttributes: ua.NewExtensionObject(nil),
			TypeDefinition: ua.NewTwoByteExpandedNodeID(0)}}}),
	}
}

func TestDecodeAcceptsWhatTheLibraryAccepts(t *testing.T) {
	for _, body := range samples(t) {
		_, want, err := ua.DecodeService(body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(body)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %+v, %v", want, got, err)
		}
	}
}

func TestDecodeSupportsEveryTypeOfEveryService(t *testing.T) {
	services := 0
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		if typ.Implements(reflect.TypeFor[ua.BinaryDecoder]()) {
			w := walk{reader: reader{b: make([]byte, 100)}, elements: 100}
			if w.value(typ, 10); w.bad {
				t.Errorf("%v has a decoder, and is unknown to the walk", typ)
			}
			return
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(typ.Elem())
		case reflect.Struct:
			for i := 0; i < typ.NumField() && !typ.ConvertibleTo(reflect.TypeFor[time.Time]()); i++ {
				visit(typ.Field(i).Type)
			}
		case reflect.Map, reflect.Interface, reflect.Array, reflect.Chan, reflect.Func:
			t.Errorf("%v: its kind is unknown to the walk", typ)
		}
	}
	for n := range 20_000 {
		if _, v, _ := ua.DecodeService([]byte{1, 0, byte(n), byte(n >> 8)}); v != nil {
			services++
			visit(reflect.TypeOf(v))
		}
	}
	if services < 60 {
		t.Errorf("looked at %d services, want all of the library's", services)
	}
}

// The published ways to kill a stack by one request: claims of length, nesting,
// negative lengths (as in the research on OPC UA servers since 2022).
func TestDecodeRejectsHostileBodies(t *testing.T) {
	write := mustEncode(t, &ua.WriteRequest{RequestHeader: requestHeader()})
	write = write[:len(write)-4] // its array's length
	withVariant := func(variant ...byte) []byte {
		b := append(append([]byte{}, write...), 1, 0, 0, 0, 0, 1, 13, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1)
		return append(b, variant...)
	}
	read := mustEncode(t, &ua.ReadRequest{RequestHeader: requestHeader()})
	length := func(n uint32) []byte {
		return binary.LittleEndian.AppendUint32(append([]byte{}, read[:len(read)-4]...), n)
	}
	for name, body := range map[string][]byte{
		"nothing":                 {},
		"array of 2^31-1":         length(1<<31 - 1),
		"array of -2":             length(1<<32 - 2),
		"variant array of 2^31-1": withVariant(0x80|6, 0xff, 0xff, 0xff, 0x7f),
		"variant array of -2":     withVariant(0x80|6, 0xfe, 0xff, 0xff, 0xff),
		"dimensions of 2^31-1":    withVariant(0xc0|6, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f),
		"dimensions that overflow": withVariant([]byte("\xc3\x00\x00\x00\x00\x04\x00\x00\x00" +
			strings.Repeat("\x00\x00\x01\x00", 4))...),
		"5000 dimensions of one": withVariant([]byte("\xc3\x01\x00\x00\x00\x07\x88\x13\x00\x00" +
			strings.Repeat("\x01\x00\x00\x00", 5000))...),
		"dimensions for less":       withVariant(0xc0|3, 3, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0, 4, 0, 0, 0),
		"variants 1.9 million deep": withVariant([]byte(strings.Repeat("\x18", 1_900_000))...),
		"arrays of variants":        withVariant([]byte(strings.Repeat("\x98\x01\x00\x00\x00", 300_000))...),
		"diagnostics deep":          withVariant([]byte("\x19" + strings.Repeat("\x40", 1_000_000))...),
		"data values deep":          withVariant([]byte(strings.Repeat("\x17\x01", 500_000))...),
		"unknown variant type":      withVariant(0x1f),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if v, err := Decode(body); !errors.Is(err, ua.StatusBadDecodingError) {
				t.Errorf("got %T, %v; want Bad_DecodingError", v, err)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("allocated %d bytes to refuse %d", got, len(body))
			}
		})
	}
	if _, err := Decode([]byte{1, 0, 0xff, 0xff}); !errors.Is(err, ua.StatusBadServiceUnsupported) {
		t.Errorf("unknown service: got %v, want Bad_ServiceUnsupported", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		head, _, err := PeekRequest(b)
		_, _, _ = PeekResponse(b)
		_, _ = parseOpenRequest(b)
		_, _ = parseOpenResponse(b)
		_, _ = parseOpenHeader(b)
		if err == nil && len(head.Token) > len(b) {
			t.Fatal("token outside the body")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := Decode(b)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+1000*uint64(len(b)) {
			t.Fatalf("allocated %d bytes for %d", got, len(b))
		}
		if err == nil && v == nil {
			t.Fatal("neither a value nor an error")
		}
	})
}
