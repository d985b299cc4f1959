package uabinary_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

var at = time.Date(2026, 11, 29, 1, 2, 3, 456_789_100, time.UTC)

func TestResponseHeaderGolden(t *testing.T) {
	want, _ := hex.DecodeString(strings.ReplaceAll("0100 7a02 d36a003f9d7fdd01 04030201 00000a80 00 ffffffff 000000",
		" ", ""))
	got := uabinary.AppendResponseHeader(nil, id.ReadResponse_Encoding_DefaultBinary, 0x01020304, ua.StatusBadTimeout,
		at)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestResponseHeaderRead has both readers decode what is written: the library, and our cursor.
func TestResponseHeaderRead(t *testing.T) {
	b := uabinary.AppendResponseHeader([]byte("before"), id.ServiceFault_Encoding_DefaultBinary, 1<<32-1,
		ua.StatusBadTimeout, at)
	body, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatalf("what was there is gone: %x", b)
	}
	_, v, err := ua.DecodeService(body)
	fault, _ := v.(*ua.ServiceFault)
	if err != nil || fault == nil {
		t.Fatalf("got %T, %v, want a ServiceFault", v, err)
	}
	h := fault.ResponseHeader
	if h.RequestHandle != 1<<32-1 || h.ServiceResult != ua.StatusBadTimeout || !h.Timestamp.Equal(at) ||
		len(h.StringTable) != 0 {
		t.Errorf("the library reads %+v", h)
	}
	c := rawvalue.NewCursor(body, rawvalue.Limits{})
	typeID, _ := rawvalue.ParseNodeID(c.NodeID())
	got := c.ResponseHeader()
	if want := (rawvalue.ResponseHeader{Timestamp: uabinary.Ticks(at), RequestHandle: 1<<32 - 1,
		ServiceResult: ua.StatusBadTimeout}); got != want ||
		typeID != (rawvalue.NodeID{Number: id.ServiceFault_Encoding_DefaultBinary}) || c.Err() != nil ||
		len(c.Rest()) != 0 {
		t.Errorf("the cursor reads type %v, %+v, error %v, and leaves %x", typeID, got, c.Err(), c.Rest())
	}
}

func TestResponseHeaderDoesNotAllocate(t *testing.T) {
	b := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { _ = uabinary.AppendResponseHeader(b, 1, 2, ua.StatusOK, at) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}
