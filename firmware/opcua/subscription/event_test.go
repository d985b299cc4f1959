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

// TestLostEventsAreReported by one EventQueueOverflowEvent (i3035) in addition to the queue's size
// (OPC 10000-4 §5.13.1.5), and lost states of conditions by a RefreshRequiredEvent (i2789) behind it.
func TestLostEventsAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		size   uint32
		newest bool // is discarded
		shrink uint32
		events int
		want   string
	}{
		"nothing lost":         {2, false, 0, 2, "0,i2782, 1,i2782,"},
		"the oldest":           {2, false, 0, 5, "100,i3035, 3,i2782, 4,i2782, 100,i2789,"},
		"the newest":           {2, true, 0, 5, "0,i2782, 1,i2782, 100,i3035, 100,i2789,"},
		"the oldest of one":    {1, false, 0, 3, "100,i3035, 2,i2782, 100,i2789,"},
		"the newest of one":    {1, true, 0, 3, "0,i2782, 100,i3035, 100,i2789,"},
		"of a long queue":      {100, false, 3, 150, "100,i3035, 147,i2782, 148,i2782, 149,i2782, 100,i2789,"},
		"shortened":            {4, false, 2, 4, "100,i3035, 2,i2782, 3,i2782, 100,i2789,"},
		"shortened at the end": {4, true, 2, 4, "0,i2782, 1,i2782, 100,i3035, 100,i2789,"},
		"shortened again":      {4, true, 1, 6, "0,i2782, 100,i3035, 100,i2789,"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			sub := r.subscribe(alice, nil)
			item := eventItem(7, c.size, "Severity", "EventType")
			item.RequestedParameters.DiscardOldest = !c.newest
			made := r.monitor(alice, sub, item)[0]
			for n := range c.events {
				r.e.Event(alarm(t, 1, uint16(n), true))
			}
			if c.shrink > 0 {
				item.RequestedParameters.QueueSize = c.shrink
				r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub,
					ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made.MonitoredItemID,
						RequestedParameters: item.RequestedParameters}}})
			}
			answers := []*[]any{r.publish(alice), r.publish(alice)}
			r.pass(250 * time.Millisecond)
			var got []string
			for _, w := range strings.Fields(notifications(answers...)) {
				if s, is := strings.CutPrefix(w, "7:"); is {
					got = append(got, s)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// A refresh of more states than the queue takes requires no other refresh: that one would end alike.
func TestARefreshThatOverflowsRequiresNoOther(t *testing.T) {
	r := newRig(t, Limits{})
	for n := range uint32(5) {
		r.e.Event(alarm(t, n, 500, true))
	}
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 2, "EventType"))
	r.call(alice, id.ConditionType_ConditionRefresh, sub)
	answers := []*[]any{r.publish(alice), r.publish(alice)}
	r.pass(250 * time.Millisecond)
	if got := notifications(answers...); !strings.Contains(got, "i3035") || strings.Contains(got, "i2789") {
		t.Errorf("got %q, want an EventQueueOverflowEvent and no RefreshRequiredEvent", got)
	}
}

// What the memory of all clients has no room for is reported like what the queue has none for.
func TestEventsWithoutMemoryAreReported(t *testing.T) {
	for _, oldest := range []bool{true, false} {
		r := newRig(t, Limits{HeldPerSession: 8 << 10})
		sub := r.subscribe(alice, nil)
		item := eventItem(7, 1000, "Severity", "EventType")
		item.RequestedParameters.DiscardOldest = oldest
		if code := r.monitor(alice, sub, item)[0].StatusCode; code != ua.StatusOK {
			t.Fatal(code)
		}
		for n := range 1000 {
			r.e.Event(alarm(t, 1, uint16(n), true))
		}
		answers := r.publish(alice)
		r.pass(100 * time.Millisecond)
		if got := notifications(answers); strings.Count(got, "i3035") != 1 || !strings.Contains(got, "i2782") {
			t.Errorf("oldest %v: got %.200q, want events and one EventQueueOverflowEvent", oldest, got)
		}
		r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
		r.e.SessionClosed(alice.Session, true)
		if n := r.e.Stats().Held; n != 0 {
			t.Errorf("oldest %v: %d bytes are held at the end, want none", oldest, n)
		}
	}
}
