package subscription

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

func TestDiagnosticsCountWhatAClientHas(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	a, b := r.subscribe(alice, nil), r.subscribe(alice, func(req *ua.CreateSubscriptionRequest) {
		req.RequestedPublishingInterval = 200
	})
	r.monitor(alice, a, watch(tag(1), 1, nil), watch(tag(1), 2, nil))
	r.ask(alice, &ua.SetPublishingModeRequest{SubscriptionIDs: []uint32{b}})
	r.publish(alice)
	r.publish(alice)
	if n := len(r.e.Diagnostics().Subscriptions); n != 0 {
		t.Errorf("%d subscriptions before diagnostics were collected, want 0", n)
	}
	r.pass(2 * tick)
	d := r.e.Diagnostics()
	want := SessionDiagnostics{Subscriptions: 2, Items: 2, Waiting: 2}
	if got := d.Sessions[alice.Session]; got != want {
		t.Errorf("session: got %+v, want %+v", got, want)
	}
	if d.Intervals != 2 || len(d.Subscriptions) != 2 {
		t.Fatalf("got %d intervals of %d subscriptions, want 2 and 2", d.Intervals, len(d.Subscriptions))
	}
	first, second := d.Subscriptions[0].Data, d.Subscriptions[1].Data
	if first.SubscriptionID != min(a, b) || first.SubscriptionID == second.SubscriptionID {
		t.Errorf("got subscriptions %d and %d, want %d and %d in order",
			first.SubscriptionID, second.SubscriptionID, a, b)
	}
	if first.MonitoredItemCount != 2 || !first.PublishingEnabled || second.PublishingEnabled ||
		second.DisableCount != 1 {
		t.Errorf("got %+v and %+v", first, second)
	}
	r.pass(500 * ms)
	if r.e.Diagnostics() != d {
		t.Error("diagnostics were collected again within a second")
	}
	for range 6 {
		r.publish(alice)
	}
	if r.pass(diagnosticsEvery); r.e.Diagnostics().Subscriptions[0].Data.DataChangeNotificationsCount != 2 {
		t.Errorf("got %+v, want two notifications", r.e.Diagnostics().Subscriptions[0].Data)
	}
}
