package subscription

import (
	"math"
	"testing"

	"github.com/gopcua/opcua/ua"
)

// TestPublishing is when messages come, and in which order.
func TestPublishing(t *testing.T) {
	deliver(t, []delivery{
		{"a first keep-alive at the first interval, then one each three", func(r *rig, sub uint32) string {
			a := []*[]any{r.publish(alice), r.publish(alice), r.publish(alice)}
			r.pass(410 * ms)
			return notifications(a...)
		}, "#1 #1"},
		{"nothing before the interval ends", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(90 * ms)
			return notifications(a)
		}, ""},
		{"messages of at most two notifications", func(r *rig, sub uint32) string {
			r.ask(alice,
				&ua.ModifySubscriptionRequest{SubscriptionID: sub, RequestedPublishingInterval: 100,
					RequestedMaxKeepAliveCount: 3, RequestedLifetimeCount: 9, MaxNotificationsPerPublish: 2})
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(2), 8, nil))
			r.set(tag(1), int32(3))
			r.set(tag(1), int32(4))
			r.pass(100 * ms)
			return notifications(a, b)
		}, "#1 7=1 7=3 more #2 7=4 8=2"},
		{"publishing that is disabled keeps what there is", func(r *rig, sub uint32) string {
			mode := func(on bool) {
				r.ask(alice, &ua.SetPublishingModeRequest{SubscriptionIDs: []uint32{sub}, PublishingEnabled: on})
			}
			mode(false)
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(200 * ms)
			mode(true)
			r.pass(100 * ms)
			return notifications(a, b)
		}, "#1 #1 7=1"},
		{"a Publish that comes late gets the message at once", func(r *rig, sub uint32) string {
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(200 * ms)
			return notifications(r.publish(alice))
		}, "#1 7=1"},
		{"a subscription whose lifetime expires", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.pass(100 * ms)
			r.pass(901 * ms)
			return notifications(a, r.publish(alice), r.publish(alice))
		}, "#1 #1 status/800a0000 " + notifications(
			&[]any{&ua.ServiceFault{ResponseHeader: &ua.ResponseHeader{ServiceResult: ua.StatusBadNoSubscription}}})},
		{"sequence numbers go on at 1", func(r *rig, sub uint32) string {
			r.e.subs[sub].sequence = math.MaxUint32 - 1
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return notifications(a, b)
		}, "#4294967295 7=1 #1 7=2"},
		{"the old session is informed of a transfer", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			second := *alice
			second.Session = 2
			r.ask(&second, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}, SendInitialValues: true})
			c := r.publish(&second)
			r.pass(100 * ms)
			return notifications(a, b, c)
		}, "#1 7=1 #2 status/002d0000 #2 7=1"},
	})
}

func TestPublishRequestsAreBoundedAndTimeOut(t *testing.T) {
	r := newRig(t, Limits{PublishPerSession: 1})
	sub := r.subscribe(alice, nil)
	oldest := r.publish(alice)
	hasty := r.send(alice,
		&ua.PublishRequest{RequestHeader: &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0),
			TimeoutHint: 20}})
	if got := code((*oldest)[0]); got != ua.StatusBadTooManyPublishRequests {
		t.Errorf("got %v for the oldest, want Bad_TooManyPublishRequests", got)
	}
	r.pass(50 * ms)
	if len(*hasty) != 1 || code((*hasty)[0]) != ua.StatusBadTimeout {
		t.Errorf("got %q, want Bad_Timeout", notifications(hasty))
	}
	last := r.publish(alice)
	r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if len(*last) != 1 || code((*last)[0]) != ua.StatusBadNoSubscription {
		t.Errorf("got %q when the last subscription went, want Bad_NoSubscription", notifications(last))
	}
	if n := r.e.items.Load(); n != 0 {
		t.Errorf("got %d items left, want none", n)
	}
}

// A message in the response to a Publish of a connection that is gone would be lost.
func TestPublishRequestsEndWithTheirConnection(t *testing.T) {
	for name, end := range map[string]func(*Engine){
		"disconnected": func(e *Engine) { e.Disconnected(1) },
		"moved":        func(e *Engine) { e.SessionMoved(alice.Session, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			before, after, other := *alice, *alice, *alice
			before.Connection, after.Connection, other.Connection, other.Session = 1, 2, 3, 2
			r.monitor(&before, r.subscribe(&before, nil), watch(tag(1), 7, nil))
			r.subscribe(&other, nil)
			theirs := r.publish(&other)
			old := []*[]any{r.publish(&before), r.publish(&before)}
			held := r.e.Stats().Held
			end(r.e)
			for _, answers := range old {
				if len(*answers) != 1 || code((*answers)[0]) == ua.StatusOK {
					t.Fatalf("got %q, want a fault", notifications(answers))
				}
			}
			if now := r.e.Stats().Held; now >= held || len(*theirs) != 0 {
				t.Errorf("%d of %d bytes are held, want less; another session: got %q", now, held,
					notifications(theirs))
			}
			answers := r.publish(&after)
			r.pass(100 * ms)
			if got := notifications(answers); got != "#1 7=1" {
				t.Errorf("got %q, want the value", got)
			}
		})
	}
}
