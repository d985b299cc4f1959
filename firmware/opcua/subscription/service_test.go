package subscription

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Publish requests that nothing can answer.
func TestATransferIsReportedToASessionThatNeverPublished(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	other := *alice
	other.Session = 2
	r.ask(&other, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if s, want := notifications(r.publish(alice)), "#1 status/002d0000"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// a subscription goes to a channel that is not encrypted.
func TestATransferNeedsAnEncryptedChannelAgain(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	r.locked[tag(1)] = true
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	clear := &Client{Session: 2, User: alice.User}
	r.ask(clear, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}, SendInitialValues: true})
	got := r.publish(clear)
	r.set(tag(1), int32(42))
	r.pass(150 * time.Millisecond)
	if s := notifications(got); strings.Contains(s, "42") || strings.Contains(s, "=1") {
		t.Errorf("got %q over a channel in the clear, want no value of a node that requires encryption", s)
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

// TestRequestsThatAreRefused is what whole requests are answered with.
func TestRequestsThatAreRefused(t *testing.T) {
	bob := &Client{Session: 2, User: "bob"}
	lim := Limits{Operations: 2, Subscriptions: 2, SubscriptionsPerSession: 1}
	for _, c := range []struct {
		name string
		who  *Client
		req  func(sub uint32) ua.Request
		want ua.StatusCode
	}{
		{"one subscription more than a session may have", alice,
			func(uint32) ua.Request { return &ua.CreateSubscriptionRequest{} }, ua.StatusBadTooManySubscriptions},
		{"another client's subscription", bob,
			func(n uint32) ua.Request { return &ua.ModifySubscriptionRequest{SubscriptionID: n} },
			ua.StatusBadSubscriptionIDInvalid},
		{"items of another client's", bob, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n,
				ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadSubscriptionIDInvalid},
		{"nothing to create", alice,
			func(n uint32) ua.Request { return &ua.CreateMonitoredItemsRequest{SubscriptionID: n} },
			ua.StatusBadNothingToDo},
		{"nothing to delete", alice, func(n uint32) ua.Request { return &ua.DeleteSubscriptionsRequest{} },
			ua.StatusBadNothingToDo},
		{"too much at once", alice, func(n uint32) ua.Request {
			return &ua.DeleteMonitoredItemsRequest{SubscriptionID: n, MonitoredItemIDs: make([]uint32, 3)}
		}, ua.StatusBadTooManyOperations},
		{"timestamps that are none", alice, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n, TimestampsToReturn: 4,
				ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadTimestampsToReturnInvalid},
		{"Publish without a subscription", bob, func(uint32) ua.Request { return &ua.PublishRequest{} },
			ua.StatusBadNoSubscription},
		{"a message that is not there", alice,
			func(n uint32) ua.Request { return &ua.RepublishRequest{SubscriptionID: n, RetransmitSequenceNumber: 9} },
			ua.StatusBadMessageNotAvailable},
		{"a service of others", alice, func(uint32) ua.Request { return &ua.ReadRequest{} },
			ua.StatusBadServiceUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, lim)
			r.put(tag(1), int32(1))
			if got := code(r.ask(c.who, c.req(r.subscribe(alice, nil)))); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	t.Run("a transfer to another user", func(t *testing.T) {
		r := newRig(t, lim)
		resp := r.ask(bob,
			&ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{r.subscribe(alice,
				nil)}}).(*ua.TransferSubscriptionsResponse)
		if got := resp.Results[0].StatusCode; got != ua.StatusBadUserAccessDenied {
			t.Errorf("got %v, want Bad_UserAccessDenied", got)
		}
	})
}

// Initial values that are queued already are not read again, however often a client asks for them.
func TestValuesAreResentOnce(t *testing.T) {
	const items, times = 50, 100
	for name, again := range map[string]func(r *rig, sub uint32){
		"transfers of one request": func(r *rig, sub uint32) {
			r.ask(alice, &ua.TransferSubscriptionsRequest{SendInitialValues: true,
				SubscriptionIDs: slices.Repeat([]uint32{sub}, times)})
		},
		"calls of ResendData": func(r *rig, sub uint32) {
			for range times {
				r.call(alice, id.Server_ResendData, sub)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			sub := r.subscribe(alice, nil)
			r.monitor(alice, sub, slices.Repeat([]*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}, items)...)
			r.publish(alice)
			r.pass(100 * ms)
			for range 2 {
				r.reads = 0
				again(r, sub)
				if r.reads != items {
					t.Errorf("got %d reads of %d items, want one of each", r.reads, items)
				}
				a := r.publish(alice)
				r.pass(100 * ms)
				if got := strings.Count(notifications(a), "7=1"); got != items {
					t.Errorf("got %d values of %d items, want one of each", got, items)
				}
			}
		})
	}
}
