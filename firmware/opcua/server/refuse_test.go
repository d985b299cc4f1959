package server

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

func TestNothingCanBeChanged(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	h := header(token)
	h.ReturnDiagnostics = (wantsText | wantsAdditional) << perOperation
	write := &ua.WriteRequest{RequestHeader: h, NodesToWrite: []*ua.WriteValue{{
		NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(1.5)},
	}}}
	resp, code := ask(t, c, write)
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	w := resp.(*ua.WriteResponse)
	if w.Results[0] != ua.StatusBadNotWritable || len(w.DiagnosticInfos) != 1 || w.DiagnosticInfos[0].AdditionalInfo != "only to look at" ||
		len(w.ResponseHeader.StringTable) != 1 || w.ResponseHeader.StringTable[0] != "only to look at" {
		t.Errorf("Write: %v, diagnostics %+v, strings %q", w.Results, w.DiagnosticInfos, w.ResponseHeader.StringTable)
	}
	call := &ua.CallRequest{RequestHeader: header(token), MethodsToCall: []*ua.CallMethodRequest{{ObjectID: named("plant").UA(), MethodID: named("start").UA()}}}
	if resp, _ := ask(t, c, call); resp.(*ua.CallResponse).Results[0].StatusCode != ua.StatusBadNotExecutable {
		t.Errorf("Call: %v", resp.(*ua.CallResponse).Results[0].StatusCode)
	}
	history := &ua.HistoryReadRequest{
		RequestHeader: header(token), HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{}),
		NodesToRead: []*ua.HistoryReadValueID{{NodeID: named("taga0").UA(), DataEncoding: &ua.QualifiedName{}}},
	}
	if resp, _ := ask(t, c, history); resp.(*ua.HistoryReadResponse).Results[0].StatusCode != ua.StatusBadHistoryOperationUnsupported {
		t.Errorf("HistoryRead: %v", resp.(*ua.HistoryReadResponse).Results[0].StatusCode)
	}
	for _, req := range []any{
		&ua.AddNodesRequest{RequestHeader: header(token)}, &ua.DeleteNodesRequest{RequestHeader: header(token)},
		&ua.AddReferencesRequest{RequestHeader: header(token)}, &ua.DeleteReferencesRequest{RequestHeader: header(token)},
	} {
		if _, code := ask(t, c, req); code != ua.StatusBadServiceUnsupported {
			t.Errorf("%T: %v, want Bad_ServiceUnsupported", req, code)
		}
	}
	if _, code := ask(t, c, &ua.HistoryUpdateRequest{RequestHeader: header(token), HistoryUpdateDetails: []*ua.ExtensionObject{ua.NewExtensionObject(&ua.DeleteRawModifiedDetails{NodeID: named("taga0").UA()})}}); code != ua.StatusOK {
		t.Errorf("HistoryUpdate: %v, want a result per operation", code)
	}
}
