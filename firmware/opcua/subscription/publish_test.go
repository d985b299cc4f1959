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

func TestRepublishUntilAcknowledged(t *testing.T) {
	r := newRig(t, Limits{Retransmission: 2})
	r.put(tag(1), int32(0))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	var last *[]any
	for n := range int32(3) {
		last = r.publish(alice)
		r.set(tag(1), n+1)
		r.pass(100 * ms)
	}
	if got := (*last)[0].(*ua.PublishResponse).AvailableSequenceNumbers; len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("got %v available, want 2 and 3", got)
	}
	again := r.ask(alice,
		&ua.RepublishRequest{SubscriptionID: sub,
			RetransmitSequenceNumber: 3}).(*ua.RepublishResponse).NotificationMessage
	if want := (*last)[0].(*ua.PublishResponse).NotificationMessage; again.SequenceNumber != 3 ||
		!again.PublishTime.Equal(want.PublishTime) || len(again.NotificationData) != 1 {
		t.Errorf("got %+v, want %+v", again, want)
	}
	ack := func(s, n uint32) *ua.SubscriptionAcknowledgement {
		return &ua.SubscriptionAcknowledgement{SubscriptionID: s, SequenceNumber: n}
	}
	a := r.publish(alice, ack(sub, 3), ack(sub, 1), ack(sub+1, 2))
	r.pass(300 * ms)
	got := (*a)[0].(*ua.PublishResponse).Results
	if len(got) != 3 || got[0] != ua.StatusOK || got[1] != ua.StatusBadSequenceNumberUnknown ||
		got[2] != ua.StatusBadSubscriptionIDInvalid {
		t.Errorf("got %v, want Good, Bad_SequenceNumberUnknown, Bad_SubscriptionIdInvalid", got)
	}
}

func TestIntervalsAreRevised(t *testing.T) {
	r := newRig(t, Limits{})
	for _, c := range []struct {
		ask  ua.CreateSubscriptionRequest
		want [3]float64
	}{
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: 0}, [3]float64{50, 1, 3}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: math.NaN(), RequestedMaxKeepAliveCount: 10,
			RequestedLifetimeCount: 20}, [3]float64{50, 10, 30}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: math.Inf(1),
			RequestedMaxKeepAliveCount: math.MaxUint32, RequestedLifetimeCount: math.MaxUint32},
			[3]float64{3_600_000, 2, 6}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: 250, RequestedMaxKeepAliveCount: 4,
			RequestedLifetimeCount: 100}, [3]float64{250, 4, 100}},
	} {
		got := r.ask(alice, &c.ask).(*ua.CreateSubscriptionResponse)
		if [3]float64{got.RevisedPublishingInterval, float64(got.RevisedMaxKeepAliveCount),
			float64(got.RevisedLifetimeCount)} != c.want {
			t.Errorf("got %+v, want %v", got, c.want)
		}
	}
}

func TestTheHigherPriorityIsServedFirst(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	low := r.subscribe(alice, nil)
	high := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.Priority = 9 })
	r.monitor(alice, low, watch(tag(1), 7, nil))
	r.monitor(alice, high, watch(tag(1), 8, nil))
	a := r.publish(alice)
	r.pass(100 * ms)
	b := r.publish(alice)
	if got, want := notifications(a, b), "#1 8=1 #1 7=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Two messages are late when Publish requests come.
func TestTheHigherPriorityOfTwoLateOnesIsServedFirst(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	low := r.subscribe(alice, nil)
	high := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.Priority = 9 })
	r.monitor(alice, low, watch(tag(1), 7, nil))
	r.monitor(alice, high, watch(tag(1), 8, nil))
	r.pass(200 * ms)
	if got, want := notifications(r.publish(alice), r.publish(alice)), "#1 8=1 #1 7=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A client that sends too few Publish requests gets messages of each subscription in turn.
func TestEqualPrioritiesAlternate(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(0))
	for handle := range uint32(3) {
		r.monitor(alice, r.subscribe(alice, nil),
			watch(tag(1), handle, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 1 }))
		r.pass(10 * ms)
	}
	var got []*[]any
	for n := range int32(6) {
		r.set(tag(1), n+1)
		r.pass(200 * ms)
		got = append(got, r.publish(alice))
	}
	if got, want := notifications(got...), "#1 0=1 #1 1=2 #1 2=3 #2 0=4 #2 1=5 #2 2=6"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
