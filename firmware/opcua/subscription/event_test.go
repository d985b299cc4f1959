package subscription

import (
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// TestEvents is what messages bring of events.
func TestEvents(t *testing.T) {
	deliver(t, []delivery{
		{"events, and their conditions again on a refresh", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, eventItem(7, 10, "Severity", "EventType"))
			r.e.Event(alarm(t, 1, 500, true))
			r.e.Event(alarm(t, 2, 600, false))
			r.pass(100 * ms)
			r.call(alice, id.ConditionType_ConditionRefresh, sub)
			r.pass(100 * ms)
			return notifications(a, b)
		}, "#1 7:500,i2782, 7:600,i2782, #2 7:100,i2787, 7:500,i2782, 7:100,i2788,"},
		{"one message with values and events", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, eventItem(7, 10, "Severity"), watch(tag(1), 8, nil))
			r.e.Event(alarm(t, 1, 500, true))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 8=1 7:500,"},
	})
}

// Conditions that are dropped together cost one refresh.
func TestDroppedConditionsRequireARefreshPastEveryFilter(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	var sent []*[]any
	for range 12 {
		sent = append(sent, r.publish(alice))
	}
	item := eventItem(7, 10, "EventType")
	item.RequestedParameters.Filter.Value.(*ua.EventFilter).WhereClause.Elements = []*ua.ContentFilterElement{
		{FilterOperator: ua.FilterOperatorIsNull, FilterOperands: []*ua.ExtensionObject{
			ua.NewExtensionObject(&ua.LiteralOperand{Value: ua.MustVariant(true)})}}}
	r.monitor(alice, sub, item)
	r.e.Event(alarm(t, 1, 500, true))
	r.e.Event(alarm(t, 2, 600, true))
	r.e.Forget(tag(1), rawvalue.NodeID{})
	r.e.Forget(tag(2), rawvalue.NodeID{})
	r.pass(2 * refreshDelay)
	if got := notifications(sent...); strings.Count(got, "7:") != 1 || !strings.Contains(got, "7:i2789") {
		t.Errorf("got %q, want one RefreshRequiredEventType (i2789)", got)
	}
}

// The event filter changes while events are queued that the old one selected.
func TestQueuedEventsKeepTheirNumberOfFields(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, eventItem(7, 10, "Severity", "EventType"))
	r.e.Event(alarm(t, 1, 500, true))
	p := eventItem(7, 10, "Severity").RequestedParameters
	r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub,
		ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID,
			RequestedParameters: p}}})
	got := r.publish(alice)
	r.pass(200 * time.Millisecond)
	if s, want := notifications(got), "#1 7:500,i2782,"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// The filter then has more fields than the queued events.
func TestQueuedEventsAreReadableAfterTheFilterGrew(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, eventItem(7, 10, "Severity"))
	r.e.Event(alarm(t, 1, 500, true))
	p := eventItem(7, 10, "Severity", "EventType", "EventId").RequestedParameters
	r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub,
		ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID,
			RequestedParameters: p}}})
	got := r.publish(alice)
	r.pass(200 * time.Millisecond)
	if s, want := notifications(got), "#1 7:500,"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// Events that find the queue full are reported by an EventQueueOverflowEvent (OPC 10000-4 §7.22.3).
func TestLostEventsAreReported(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 2, "Severity", "EventType"))
	for n := range uint16(5) {
		r.e.Event(alarm(t, 1, n, true))
	}
	got := r.publish(alice)
	r.pass(150 * time.Millisecond)
	if s, want := notifications(got), "i3035"; !strings.Contains(s, want) {
		t.Errorf("got %q, want one of EventQueueOverflowEventType (%s); dropped %d", s, want, r.e.Stats().Dropped)
	}
}
