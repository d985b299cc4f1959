package server

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// A wrong argument is named.
func TestWrongArgumentsAreNamed(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	for name, req := range map[string]ua.Request{
		"of the plant": call(token, named("line"), named("start"), 1.5, "x"),
		"of our own":   call(token, ns0(id.ConditionType), ns0(id.ConditionType_ConditionRefresh2), uint32(1), "x"),
	} {
		t.Run(name, func(t *testing.T) {
			resp, _ := ask(t, c, req)
			got := resp.(*ua.CallResponse).Results[0].InputArgumentResults
			if len(got) != 2 || got[0] != ua.StatusOK || got[1] != ua.StatusBadTypeMismatch {
				t.Errorf("got %v, want Good and Bad_TypeMismatch", got)
			}
		})
	}
}

// What is about the caller's own subscriptions is served beside what is refused.
func TestACallServesTheCallersOwnSubscriptions(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	resp, code := ask(t, c,
		&ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000,
			RequestedLifetimeCount: 100})
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	mine := &ua.CallMethodRequest{
		ObjectID: ua.NewNumericNodeID(0, id.Server), MethodID: ua.NewNumericNodeID(0, id.Server_GetMonitoredItems),
		InputArguments: []*ua.Variant{ua.MustVariant(resp.(*ua.CreateSubscriptionResponse).SubscriptionID)},
	}
	other := &ua.CallMethodRequest{ObjectID: named("line").UA(), MethodID: named("halt").UA()}
	a := askDiagnostics(t, c,
		&ua.CallRequest{RequestHeader: header(token), MethodsToCall: []*ua.CallMethodRequest{mine, other}},
		wantsAdditional<<perOperation)
	if len(a.codes) != 2 || a.codes[0] != ua.StatusOK || a.codes[1] != ua.StatusBadNotExecutable {
		t.Errorf("got %v, want Good and Bad_NotExecutable", a.codes)
	}
	if len(a.infos) != 2 || a.infos[0].AdditionalInfo != "" || a.infos[1].AdditionalInfo != "read-only" {
		t.Errorf("got diagnostics %+v, want the reason for the second alone", a.infos)
	}
	many := &ua.CallRequest{RequestHeader: header(token)}
	for range maxMethods + 1 { // each answer may be large
		many.MethodsToCall = append(many.MethodsToCall, mine)
	}
	if a := askDiagnostics(t, c, many, 0); a.header.ServiceResult != ua.StatusBadTooManyOperations {
		t.Errorf("%d calls: got %v, want Bad_TooManyOperations", maxMethods+1, a.header.ServiceResult)
	}
}
