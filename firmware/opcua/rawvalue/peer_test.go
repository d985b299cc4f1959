package rawvalue

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// What the library encodes right, it must be possible to skim; what is skimmed must
// be as long as the library says.
func TestTheLibrarysEncodingsAreSkimmed(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456700, time.UTC)
	for name, v := range map[string]any{
		"bool":             true,
		"sbyte":            int8(-1),
		"double":           3.25,
		"string":           "Hot水",
		"time":             at,
		"guid":             ua.NewGUID("72962B91-FA75-4AE6-8D28-B404DC7DAF63"),
		"bytestring":       []byte{1, 2, 3},
		"byte array":       ua.ByteArray{1, 2, 3},
		"xml":              ua.XMLElement("<a/>"),
		"node id":          ua.NewStringNodeID(2, "Pump"),
		"expanded node id": ua.NewExpandedNodeID(ua.NewNumericNodeID(3, 1<<20), "urn:x", 4),
		"status":           ua.StatusBadNoCommunication,
		"qualified name":   &ua.QualifiedName{NamespaceIndex: 2, Name: "q"},
		"localized text":   ua.NewLocalizedTextWithLocale("Pumpe", "de"),
		"structure":        ua.NewExtensionObject(&ua.Range{Low: 1, High: 2}),
		"data value":       &ua.DataValue{EncodingMask: 5, Value: ua.MustVariant(int32(1)), SourceTimestamp: at},
		"variant":          ua.MustVariant(int32(5)),
		"diagnostics": &ua.DiagnosticInfo{EncodingMask: 0x71, SymbolicID: 1, AdditionalInfo: "x",
			InnerDiagnosticInfo: &ua.DiagnosticInfo{}},
		"null":            nil,
		"strings":         []string{"a", "", "c"},
		"matrix":          [][]float64{{1, 2, 3}, {4, 5, 6}},
		"cube of strings": [][][]string{{{"a"}, {"b"}}, {{"c"}, {"d"}}},
		"variants":        []*ua.Variant{ua.MustVariant(int8(1)), ua.MustVariant([]string{"x"})},
		"structures": []*ua.ExtensionObject{
			ua.NewExtensionObject(&ua.Argument{Name: "n", DataType: ua.NewTwoByteNodeID(1),
				Description: ua.NewLocalizedText("d")})},
		"node ids": []*ua.NodeID{ua.NewTwoByteNodeID(1),
			ua.NewGUIDNodeID(1, "72962B91-FA75-4AE6-8D28-B404DC7DAF63")},
	} {
		t.Run(name, func(t *testing.T) {
			want := &ua.DataValue{EncodingMask: 0x3f, Value: ua.MustVariant(v), Status: ua.StatusUncertain,
				SourceTimestamp: at, SourcePicoseconds: 7, ServerTimestamp: at, ServerPicoseconds: 8}
			raw, err := want.Encode()
			if err != nil {
				t.Fatal(err)
			}
			d, err := SkimDataValue(append(bytes.Clone(raw), 0xee), Limits{})
			if err != nil || !bytes.Equal(d.Raw, raw) {
				t.Fatalf("got %x, %v; want %x", d.Raw, err, raw)
			}
			if d.Value.Type() != want.Value.Type() || d.Status != want.Status || d.SourceTime != d.ServerTime ||
				d.SourcePico != 7 || d.ServerPico != 8 {
				t.Errorf("got %+v, want %+v", d, want)
			}
			checkElements(t, d.Value)
		})
	}
}

func TestNodeIDsAreTheLibrarysNodeIDs(t *testing.T) {
	for _, s := range []string{"i=0", "i=255", "i=256", "i=65536", "ns=1;i=1", "ns=254;i=65534", "ns=256;i=1",
		"ns=300;s=a=b;c", "s=x",
		"ns=2;b=AQID", "ns=9;g=72962B91-FA75-4AE6-8D28-B404DC7DAF63"} {
		n := ua.MustParseNodeID(s)
		id, err := FromUA(n)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		want, _ := n.Encode()
		if got := id.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", s, got, want)
		}
		if back := id.UA(); !back.Equal(n) {
			t.Errorf("%s: back to the library: got %v", s, back)
		}
		if got, err := ParseNodeID(id.AppendTo(nil)); err != nil || got != id {
			t.Errorf("%s: parsed: got %+v, %v; want %+v", s, got, err, id)
		}
		if got := ua.MustParseNodeID(id.String()); !got.Equal(n) {
			t.Errorf("%s: text: got %s", s, id)
		}
	}
	long := []byte{2, 0, 0, 72, 0, 0, 0}
	if got, err := ParseNodeID(long); err != nil || got != (NodeID{Number: 72}) {
		t.Errorf("long form of i=72: got %v, %v", got, err)
	}
	if got, err := ParseNodeID([]byte{0, 72, 0}); err == nil {
		t.Errorf("a byte behind: got %v, want an error", got)
	}
	if got, err := FromUA(nil); err != nil || got != (NodeID{}) {
		t.Errorf("nil: got %v, %v; want the null NodeId", got, err)
	}
}

// readResponse encodes a ReadResponse as the library does, without its type.
func readResponse(t testing.TB, n int) []byte {
	t.Helper()
	r := &ua.ReadResponse{
		ResponseHeader: &ua.ResponseHeader{RequestHandle: 77, ServiceResult: ua.StatusGood,
			Timestamp:          time.Unix(1e9, 0),
			ServiceDiagnostics: &ua.DiagnosticInfo{EncodingMask: 1}, StringTable: []string{"a", "b"},
			AdditionalHeader: ua.NewExtensionObject(nil)},
		DiagnosticInfos: []*ua.DiagnosticInfo{{EncodingMask: 0x10, AdditionalInfo: "x"}},
	}
	for i := range n {
		r.Results = append(r.Results, &ua.DataValue{EncodingMask: 0x0d, Value: ua.MustVariant(float64(i)),
			SourceTimestamp: time.Unix(int64(i), 0), ServerTimestamp: time.Unix(int64(i), 0)})
	}
	b, err := ua.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBatchesAreSkimmedAsTheLibraryWritesThem(t *testing.T) {
	body := readResponse(t, 100)
	c := NewCursor(body, Limits{})
	h, values := c.ReadResponse(nil, 100)
	if c.Err() != nil || c.Pos() != len(body) || h.RequestHandle != 77 || len(values) != 100 ||
		len(values[99].Raw) != 26 {
		t.Errorf("ReadResponse: got %+v, %d values, %d of %d bytes, %v", h, len(values), c.Pos(), len(body), c.Err())
	}
	change := &ua.DataChangeNotification{}
	for i := range 50 {
		change.MonitoredItems = append(change.MonitoredItems, &ua.MonitoredItemNotification{ClientHandle: uint32(i),
			Value: &ua.DataValue{EncodingMask: 1, Value: ua.MustVariant(int16(i))}})
	}
	body, err := ua.Encode(change)
	if err != nil {
		t.Fatal(err)
	}
	c = NewCursor(body, Limits{})
	items := c.DataChange(nil, 50)
	if c.Err() != nil || c.Pos() != len(body) || len(items) != 50 || items[49].ClientHandle != 49 ||
		items[49].Value.Value.Raw[1] != 49 {
		t.Errorf("DataChange: got %d items, %d of %d bytes, %v", len(items), c.Pos(), len(body), c.Err())
	}
}

func TestABatchIsNoLargerThanWhatWasAskedFor(t *testing.T) {
	c := NewCursor(readResponse(t, 11), Limits{})
	if _, values := c.ReadResponse(nil, 10); c.Err() == nil || len(values) != 0 {
		t.Errorf("11 results for 10: got %d values, %v; want an error", len(values), c.Err())
	}
	body := append([]byte{3, 0, 0, 0}, 0, 1, 63, 0) // the second is malformed
	c = NewCursor(body, Limits{})
	if values := c.DataValues(nil, 3); c.Err() == nil || len(values) != 1 {
		t.Errorf("one good value, then a malformed one: got %d values, %v; want 1 and an error", len(values), c.Err())
	}
}
