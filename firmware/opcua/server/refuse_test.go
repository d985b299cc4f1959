package server

import (
	"fmt"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// outcome is the response to a request: its header, the codes and the
// diagnostics of its operations.
type outcome struct {
	header *ua.ResponseHeader
	codes  []ua.StatusCode
	infos  []*ua.DiagnosticInfo
}

// askDiagnostics sends a request that asks for diagnostics.
func askDiagnostics(t *testing.T, c *channel.Client, req ua.Request, asked uint32) (a outcome) {
	t.Helper()
	req.Header().ReturnDiagnostics = asked
	body, err := channel.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Do(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := channel.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	a.header = resp.(ua.Response).Header()
	switch r := resp.(type) {
	case *ua.WriteResponse:
		a.codes, a.infos = r.Results, r.DiagnosticInfos
	case *ua.CallResponse:
		a.infos = r.DiagnosticInfos
		for _, x := range r.Results {
			a.codes = append(a.codes, x.StatusCode)
		}
	case *ua.HistoryReadResponse:
		a.infos = r.DiagnosticInfos
		for _, x := range r.Results {
			a.codes = append(a.codes, x.StatusCode)
		}
	case *ua.HistoryUpdateResponse:
		a.infos = r.DiagnosticInfos
		for _, x := range r.Results {
			a.codes = append(a.codes, x.StatusCode)
		}
	}
	return a
}

// hasText checks that a text was returned as asked: in the string table, as additional info, or not at all.
func hasText(h *ua.ResponseHeader, info *ua.DiagnosticInfo, asked uint32, want string) error {
	table, beside := asked&wantsText != 0, asked&wantsAdditional != 0
	inTable := len(h.StringTable) == 1 && h.StringTable[0] == want && info != nil &&
		info.EncodingMask&ua.DiagnosticInfoLocalizedText != 0 && info.LocalizedText == 0
	isBeside := info != nil && info.AdditionalInfo == want
	if table != inTable || beside != isBeside || !table && len(h.StringTable) > 0 {
		return fmt.Errorf("got %q and %+v, want %q in the table: %v, beside the code: %v", h.StringTable, info, want,
			table, beside)
	}
	return nil
}

var everyText = []uint32{0, wantsText, wantsAdditional, wantsText | wantsAdditional}

// One or more operations of a request are refused, each with its code and, where it was
// asked for, with the reason.
func TestRefusedOperationsHaveDiagnostics(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	node := named("taga0").UA()
	for name, tc := range map[string]struct {
		req  func() ua.Request
		want ua.StatusCode
	}{
		"Write": {func() ua.Request {
			w := &ua.WriteValue{NodeID: node, AttributeID: ua.AttributeIDValue,
				Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(1.5)}}
			return &ua.WriteRequest{RequestHeader: header(token), NodesToWrite: []*ua.WriteValue{w, w}}
		}, ua.StatusBadNotWritable},
		"Call": {func() ua.Request {
			m := &ua.CallMethodRequest{ObjectID: named("line").UA(), MethodID: named("halt").UA()}
			return &ua.CallRequest{RequestHeader: header(token), MethodsToCall: []*ua.CallMethodRequest{m, m}}
		}, ua.StatusBadNotExecutable},
		"HistoryRead": {func() ua.Request {
			r := &ua.HistoryReadValueID{NodeID: node, DataEncoding: &ua.QualifiedName{}}
			return &ua.HistoryReadRequest{RequestHeader: header(token),
				HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{}),
				NodesToRead:        []*ua.HistoryReadValueID{r, r}}
		}, ua.StatusBadHistoryOperationUnsupported},
		"HistoryUpdate": {func() ua.Request {
			d := ua.NewExtensionObject(&ua.DeleteRawModifiedDetails{NodeID: node})
			return &ua.HistoryUpdateRequest{RequestHeader: header(token),
				HistoryUpdateDetails: []*ua.ExtensionObject{d, d}}
		}, ua.StatusBadHistoryOperationUnsupported},
	} {
		for _, asked := range everyText {
			t.Run(fmt.Sprintf("%s/%x", name, asked), func(t *testing.T) {
				a := askDiagnostics(t, c, tc.req(), asked<<perOperation)
				if a.header.ServiceResult != ua.StatusOK || len(a.codes) != 2 || a.codes[0] != tc.want ||
					a.codes[1] != tc.want {
					t.Errorf("got %v and %v, want Good and %v twice", a.header.ServiceResult, a.codes, tc.want)
				}
				if asked == 0 && len(a.infos) > 0 || asked != 0 && len(a.infos) != 2 {
					t.Fatalf("got %d diagnostics", len(a.infos))
				}
				infos := append(a.infos, nil)
				if err := hasText(a.header, infos[0], asked, "read-only"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A request that is refused as a whole says so in its header.
func TestRefusedServicesHaveDiagnostics(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	_, secureURL, _ := pair(t, nil)
	noPolicy := open(t, secureURL)
	const noSession = "this service needs an activated session on this channel"
	for name, tc := range map[string]struct {
		c    *channel.Client
		req  func() ua.Request
		want ua.StatusCode
		why  string
	}{
		"AddNodes": {c, func() ua.Request { return &ua.AddNodesRequest{RequestHeader: header(token)} },
			ua.StatusBadServiceUnsupported, "read-only"},
		"AddReferences": {c, func() ua.Request { return &ua.AddReferencesRequest{RequestHeader: header(token)} },
			ua.StatusBadServiceUnsupported, "read-only"},
		"DeleteNodes": {c, func() ua.Request { return &ua.DeleteNodesRequest{RequestHeader: header(token)} },
			ua.StatusBadServiceUnsupported, "read-only"},
		"DeleteReferences": {c, func() ua.Request { return &ua.DeleteReferencesRequest{RequestHeader: header(token)} },
			ua.StatusBadServiceUnsupported, "read-only"},
		"Read without a session": {c, func() ua.Request { return readRequest(nil, stateItem()) },
			ua.StatusBadSessionIDInvalid, noSession},
		"AddNodes without a session": {c, func() ua.Request { return &ua.AddNodesRequest{RequestHeader: header(nil)} },
			ua.StatusBadSessionIDInvalid, noSession},
		"a policy that is not offered": {noPolicy, func() ua.Request {
			return &ua.CreateSessionRequest{RequestHeader: header(nil),
				ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("")}}
		}, ua.StatusBadSecurityPolicyRejected,
			"this security policy and mode serve discovery alone: choose an endpoint of those that GetEndpoints lists"},
	} {
		for _, asked := range everyText {
			t.Run(fmt.Sprintf("%s/%x", name, asked), func(t *testing.T) {
				a := askDiagnostics(t, tc.c, tc.req(), asked)
				if a.header.ServiceResult != tc.want {
					t.Errorf("got %v, want %v", a.header.ServiceResult, tc.want)
				}
				if err := hasText(a.header, a.header.ServiceDiagnostics, asked, tc.why); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
