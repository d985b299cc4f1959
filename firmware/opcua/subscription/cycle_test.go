package subscription

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

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
