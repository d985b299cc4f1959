package channel

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// TestPeekRequest reads headers that the library has encoded, with all that they may hold.
func TestPeekRequest(t *testing.T) {
	token := ua.NewByteStringNodeID(0, []byte("token"))
	b, err := Encode(&ua.ReadRequest{RequestHeader: &ua.RequestHeader{
		AuthenticationToken: token, Timestamp: opened, RequestHandle: 77, ReturnDiagnostics: 3, AuditEntryID: "audit",
		TimeoutHint: 1500, AdditionalHeader: ua.NewExtensionObject(&ua.Argument{Name: "a", DataType: token,
			Description: &ua.LocalizedText{}}),
	}, MaxAge: 1})
	if err != nil {
		t.Fatal(err)
	}
	head, rest, err := PeekRequest(b)
	if err != nil || head.TypeID != id.ReadRequest_Encoding_DefaultBinary || head.Handle != 77 ||
		head.ReturnDiagnostics != 3 || head.TimeoutHint != 1500*time.Millisecond {
		t.Errorf("got %+v, %v", head, err)
	}
	if want, _ := token.Encode(); !bytes.Equal(head.Token, want) {
		t.Errorf("token: got %x, want %x", head.Token, want)
	}
	if len(rest) != 8+4+4 { // MaxAge, TimestampsToReturn, no nodes
		t.Errorf("left %d bytes: %x", len(rest), rest)
	}
	for n := range len(b) - len(rest) {
		if _, _, err := PeekRequest(b[:n]); Code(err) != ua.StatusBadDecodingError {
			t.Fatalf("the first %d bytes: got %v, want Bad_DecodingError", n, err)
		}
	}
}

func TestPeekResponse(t *testing.T) {
	inner := &ua.DiagnosticInfo{EncodingMask: ua.DiagnosticInfoAdditionalInfo, AdditionalInfo: "why"}
	b, err := Encode(&ua.ReadResponse{ResponseHeader: &ua.ResponseHeader{
		Timestamp: opened, RequestHandle: 78, ServiceResult: ua.StatusBadTimeout, StringTable: []string{"a", ""},
		ServiceDiagnostics: &ua.DiagnosticInfo{
			EncodingMask: ua.DiagnosticInfoInnerDiagnosticInfo, InnerDiagnosticInfo: inner,
		}, AdditionalHeader: ua.NewExtensionObject(nil),
	}, Results: []*ua.DataValue{}, DiagnosticInfos: []*ua.DiagnosticInfo{}})
	if err != nil {
		t.Fatal(err)
	}
	head, rest, err := PeekResponse(b)
	if want := (ResponseHead{id.ReadResponse_Encoding_DefaultBinary, 78, ua.StatusBadTimeout}); head != want ||
		err != nil {
		t.Errorf("got %+v, %v; want %+v", head, err, want)
	}
	if len(rest) != 4+4 {
		t.Errorf("left %d bytes: %x", len(rest), rest)
	}
	for n := range len(b) - len(rest) {
		if _, _, err := PeekResponse(b[:n]); Code(err) != ua.StatusBadDecodingError {
			t.Fatalf("the first %d bytes: got %v, want Bad_DecodingError", n, err)
		}
	}
	deep := append(bytes.Clone(b[:4+8+4+4]), bytes.Repeat([]byte{0x40}, maxDiagnosticDepth+1)...)
	if _, _, err := PeekResponse(append(deep, make([]byte, 100)...)); err == nil {
		t.Error("diagnostics nested beyond the limit were accepted")
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = PeekResponse(b) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}
