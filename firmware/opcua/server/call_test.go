package server

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
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

// Calls of GetMonitoredItems return the ids of as many items as a session has, not each as often as it is asked.
func TestOneCallReturnsTheItemsOfASession(t *testing.T) {
	const tags, each = 40, 100
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	resp, _ := ask(t, c, &ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000,
		RequestedLifetimeCount: 100})
	sub := resp.(*ua.CreateSubscriptionResponse).SubscriptionID
	items := &ua.CreateMonitoredItemsRequest{RequestHeader: header(token), SubscriptionID: sub}
	for i := range tags * each {
		tag := named("tag" + string(rune('a'+i%tags%26)) + string(rune('0'+i%tags/26)))
		items.ItemsToCreate = append(items.ItemsToCreate, &ua.MonitoredItemCreateRequest{
			ItemToMonitor: &ua.ReadValueID{NodeID: tag.UA(), AttributeID: ua.AttributeIDValue,
				DataEncoding: &ua.QualifiedName{}},
			RequestedParameters: &ua.MonitoringParameters{Filter: ua.NewExtensionObject(nil)}})
	}
	if _, code := ask(t, c, items); code != ua.StatusOK {
		t.Fatal(code)
	}
	req := &ua.CallRequest{RequestHeader: header(token)}
	for range maxMethods {
		req.MethodsToCall = append(req.MethodsToCall, &ua.CallMethodRequest{ObjectID: ns0(id.Server).UA(),
			MethodID: ns0(id.Server_GetMonitoredItems).UA(), InputArguments: []*ua.Variant{ua.MustVariant(sub)}})
	}
	body, err := channel.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Do(await.Context(t), body)
	if code := resultOf(raw, err); code != ua.StatusOK {
		t.Fatal(code)
	}
	_, decoded, err := ua.DecodeService(raw) // more than channel.Decode takes
	if err != nil {
		t.Fatal(err)
	}
	ids := 0
	for i, r := range decoded.(*ua.CallResponse).Results {
		want := ua.StatusOK
		if ids > maxItemIDs {
			want = ua.StatusBadTooManyOperations
		}
		if r.StatusCode != want {
			t.Fatalf("call %d after %d ids: got %v, want %v", i, ids, r.StatusCode, want)
		}
		if want == ua.StatusOK {
			ids += int(r.OutputArguments[0].ArrayLength())
		}
	}
	if ids <= maxItemIDs || ids > maxItemIDs+tags*each {
		t.Errorf("%d ids were returned, want %d and those of the last call", ids, maxItemIDs)
	}
}

// The InputArguments are the plant's: what they claim is neither trusted nor allocated.
func TestInputArgumentsThatClaimTooMuch(t *testing.T) {
	s, _ := start(t, nil)
	factory(t, s)
	const claimed = 1 << 26 // elements of four bytes or more
	text := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	null := text(math.MaxUint32)
	object := func(kind uint16, parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		b := binary.LittleEndian.AppendUint16([]byte{1, byte(ua.TypeIDExtensionObject) | 0x80, 1, 0, 0, 0, 1, 0}, kind)
		b = binary.LittleEndian.AppendUint32(append(b, ua.ExtensionObjectBinary), uint32(len(body)))
		return append(b, body...)
	}
	double, scalar := []byte{0, id.Double}, null
	for name, c := range map[string]struct {
		value []byte
		known bool
	}{
		"an argument": {object(id.Argument_Encoding_DefaultBinary, null, double, scalar, null, []byte{0}), true},
		"dimensions that are not there": {object(id.Argument_Encoding_DefaultBinary, null, double, scalar,
			text(claimed), []byte{0, 0, 0, 0}), false},
		"a name that is not there": {object(id.Argument_Encoding_DefaultBinary, text(claimed), []byte("x")), false},
		"fields that are missing":  {object(id.Argument_Encoding_DefaultBinary, null, double), false},
		"an array of another type": {object(id.EnumDefinition_Encoding_DefaultBinary, text(claimed), null), false},
		"all of another type":      {object(id.Range_Encoding_DefaultBinary, make([]byte, 16)), false},
	} {
		t.Run(name, func(t *testing.T) {
			s.Set(named("arguments"), c.value)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s.cfg.Space.View(func(v addrspace.View) {
				if got, known := s.inputArguments(v, named("start")); known != c.known || known && len(got) != 1 {
					t.Errorf("got %v, known %v, want known %v", got, known, c.known)
				}
			})
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 128<<20 {
				t.Errorf("%d MiB allocated for %d bytes", grown>>20, len(c.value))
			}
		})
	}
}
