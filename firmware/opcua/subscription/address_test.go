package subscription

import (
	"net/netip"
	"testing"

	"github.com/gopcua/opcua/ua"
)

// One address leaves room for others, however many sessions it has.
func TestOneAddressLeavesRoomForOthers(t *testing.T) {
	greedy, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	r := newRig(t, Limits{Subscriptions: 40, SubscriptionsPerSession: 10, Items: 700, ItemsPerNode: 1000,
		Held: 4 << 20})
	for n := range uint32(1000) {
		r.put(tag(n), float64(n))
	}
	large := make([]byte, 1<<20)
	refused := 0
	create := func(c *Client) uint32 {
		resp, _ := r.ask(c,
			&ua.CreateSubscriptionRequest{RequestHeader: head(), RequestedPublishingInterval: 1000,
				RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 100}).(*ua.CreateSubscriptionResponse)
		if resp == nil {
			refused++
			return 0
		}
		return resp.SubscriptionID
	}
	for session := range uint32(8) {
		c := &Client{Session: session + 1, Address: greedy}
		for range 10 {
			sub := create(c)
			if sub == 0 {
				continue
			}
			for n := range uint32(100) {
				r.monitor(c, sub, watch(tag(n), n, queueOf(10_000)))
			}
		}
	}
	if refused == 0 {
		t.Error("one address got all the subscriptions that it wanted")
	}
	for round := range 50 {
		large[0] = byte(round)
		for n := range uint32(100) {
			r.set(tag(n), append([]byte(nil), large[:20_000]...))
		}
	}
	c := &Client{Session: 100, Address: other}
	sub := create(c)
	if sub == 0 {
		t.Fatal("another address gets no subscription")
	}
	for n := range uint32(10) {
		got := r.monitor(c, sub, watch(tag(500+n), n, queueOf(100)))[0]
		if got.StatusCode != ua.StatusOK {
			t.Fatalf("another address gets no item: %v", got.StatusCode)
		}
	}
	before := r.e.Stats().Dropped
	for i := range 50 {
		for n := range uint32(10) {
			r.set(tag(500+n), float64(i))
		}
	}
	if lost := r.e.Stats().Dropped - before; lost > 0 {
		t.Errorf("%d values of another address found no room", lost)
	}
}

// A session that comes and goes without leaving the address holds nothing of it.
func TestASessionGivesItsPlaceBackWithItsLastSubscription(t *testing.T) {
	r := newRig(t, Limits{})
	c := *alice
	c.Address = netip.MustParseAddr("10.0.0.1")
	for range 3 {
		sub := r.subscribe(&c, nil)
		r.ask(&c, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	}
	if n := r.e.addresses[c.Address].sessions; n != 0 {
		t.Errorf("the address has %d sessions, want none", n)
	}
	r.subscribe(&c, nil)
	r.e.SessionClosed(c.Session, true)
	if n := r.e.addresses[c.Address].sessions; n != 0 {
		t.Errorf("after the session has ended: the address has %d sessions, want none", n)
	}
}
