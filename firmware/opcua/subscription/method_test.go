package subscription

import (
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func TestGetMonitoredItemsReturnsBothHandles(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub, other := r.subscribe(alice, nil), r.subscribe(alice, nil)
	made := r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(1), 8, sampled), watch(tag(1), 9, nil))
	r.monitor(alice, other, watch(tag(1), 10, nil))
	r.ask(alice, &ua.DeleteMonitoredItemsRequest{SubscriptionID: sub,
		MonitoredItemIDs: []uint32{made[2].MonitoredItemID}})
	got := r.call(alice, id.Server_GetMonitoredItems, sub)
	if got.StatusCode != ua.StatusOK || len(got.OutputArguments) != 2 {
		t.Fatalf("got %v with %d arguments, want Good with 2", got.StatusCode, len(got.OutputArguments))
	}
	servers, clients := got.OutputArguments[0].Value().([]uint32), got.OutputArguments[1].Value().([]uint32)
	if want := []uint32{made[0].MonitoredItemID, made[1].MonitoredItemID}; !slices.Equal(servers, want) ||
		!slices.Equal(clients, []uint32{7, 8}) {
		t.Errorf("got %v and %v, want %v and [7 8]", servers, clients, want)
	}
}

func TestConditionRefresh2RefreshesOneItem(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, eventItem(7, 10, "Severity"), eventItem(8, 10, "Severity"), watch(tag(1), 9, nil))
	a, b := r.publish(alice), r.publish(alice)
	r.e.Event(alarm(t, 1, 500, true))
	r.pass(100 * ms)
	if got := r.call(alice, id.ConditionType_ConditionRefresh2, sub,
		made[1].MonitoredItemID).StatusCode; got != ua.StatusOK {
		t.Fatal(got)
	}
	r.pass(100 * ms)
	if got, want := notifications(b), "#2 8:100, 8:500, 8:100,"; len(*a) != 1 || got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestARefreshRepeatsEachConditionOnce: all of them have one EventId.
func TestARefreshRepeatsEachConditionOnce(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	a, b := r.publish(alice), r.publish(alice)
	r.monitor(alice, sub, eventItem(7, 10, "Severity"))
	for n, severity := range []uint16{100, 200, 300} {
		r.e.Event(alarm(t, uint32(n), severity, true))
	}
	r.e.Event(alarm(t, 1, 900, true))
	r.pass(100 * ms)
	r.call(alice, id.ConditionType_ConditionRefresh, sub)
	r.pass(100 * ms)
	if got, want := notifications(b), "#2 7:100, 7:100, 7:300, 7:900, 7:100,"; len(*a) != 1 || got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A state that is replaced while a refresh is under way must not be reported after the one that
// replaced it.
func TestARefreshLeavesOutReplacedStates(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 10, "Severity"))
	r.e.Event(alarm(t, 1, 500, true))
	r.e.Event(alarm(t, 2, 300, true))
	k := &call{Engine: r.e, client: alice}
	list := r.e.snapshot(k.stamp(), k.stamp())
	r.e.Event(alarm(t, 1, 900, true))
	items, _ := r.e.subs[sub].eventItems(nil)
	k.refresh(r.e.subs[sub], items, list)
	got := r.publish(alice)
	r.pass(100 * ms)
	if got, want := notifications(got), "#1 7:500, 7:300, 7:900, 7:100, 7:300, 7:100,"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASecondRefreshIsRefused(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 10, "Severity"))
	for range 2 { // one that has ended does not count
		if got := r.call(alice, id.ConditionType_ConditionRefresh, sub).StatusCode; got != ua.StatusOK {
			t.Fatalf("got %v, want Good", got)
		}
	}
	r.e.subs[sub].refreshing = true
	if got := r.call(alice, id.ConditionType_ConditionRefresh, sub).StatusCode; got != ua.StatusBadRefreshInProgress {
		t.Errorf("got %v while one is under way, want Bad_RefreshInProgress", got)
	}
}

func TestMethodsThatAreRefused(t *testing.T) {
	bob := &Client{Session: 2, User: "bob"}
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, watch(tag(1), 7, nil))[0].MonitoredItemID
	for name, c := range map[string]struct {
		who    *Client
		method uint32
		args   []uint32
		want   ua.StatusCode
	}{
		"another client's subscription": {bob, id.Server_GetMonitoredItems, []uint32{sub},
			ua.StatusBadSubscriptionIDInvalid},
		"another client's conditions": {bob, id.ConditionType_ConditionRefresh, []uint32{sub},
			ua.StatusBadSubscriptionIDInvalid},
		"another client's last values": {bob, id.Server_ResendData, []uint32{sub}, ua.StatusBadSubscriptionIDInvalid},
		"a refresh of a variable": {alice, id.ConditionType_ConditionRefresh2, []uint32{sub, made},
			ua.StatusBadMonitoredItemIDInvalid},
		"a refresh of an unknown item": {alice, id.ConditionType_ConditionRefresh2, []uint32{sub, 99},
			ua.StatusBadMonitoredItemIDInvalid},
		"too few arguments":  {alice, id.ConditionType_ConditionRefresh2, []uint32{sub}, ua.StatusBadArgumentsMissing},
		"too many arguments": {alice, id.Server_ResendData, []uint32{sub, 1}, ua.StatusBadTooManyArguments},
	} {
		if got := r.call(c.who, c.method, c.args...).StatusCode; got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	text := &ua.CallMethodRequest{MethodID: ua.NewNumericNodeID(0, id.Server_ResendData),
		InputArguments: []*ua.Variant{ua.MustVariant("1")}}
	if got, _ := r.e.Method(alice, text); got.StatusCode != ua.StatusBadInvalidArgument {
		t.Errorf("a text for a number: got %v, want Bad_InvalidArgument", got.StatusCode)
	}
	for _, m := range []*ua.CallMethodRequest{{}, {MethodID: tag(id.Server_ResendData).UA()},
		{MethodID: ua.NewNumericNodeID(0, id.Server_SetSubscriptionDurable)}} {
		if _, ours := r.e.Method(alice, m); ours {
			t.Errorf("%v is taken for one of ours", m.MethodID)
		}
	}
}
