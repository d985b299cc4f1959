package subscription

import (
	"runtime"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// a value exists once, however many items watch it.
func TestItemsShareTheirFirstValue(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), make([]byte, 1<<20))
	sub := r.subscribe(alice, nil)
	before := heapInUse()
	for range 100 {
		r.monitor(alice, sub, watch(tag(1), 7, nil))
	}
	if got := (heapInUse() - before) >> 20; got > 8 {
		t.Errorf("got %d MB held for 100 items of one 1 MB value, want 1", got)
	}
	runtime.KeepAlive(r)
}

// messages that nobody acknowledges.
func TestUnacknowledgedMessagesAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{})
	big := make([]byte, 1<<20)
	r.put(tag(1), big)
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	before := heapInUse()
	for n := range 50 {
		big[0] = byte(n + 1)
		r.e.Serve(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{}}, func([]byte) {})
		r.set(tag(1), big)
		r.pass(100 * time.Millisecond)
	}
	if got := (heapInUse() - before) >> 20; got > 16 {
		t.Errorf("got %d MB held by one subscription that acknowledges nothing, want less", got)
	}
	runtime.KeepAlive(r)
}

// many items on one node.
func TestManyItemsOfOneNodeAreMadeInLinearTime(t *testing.T) {
	cost := func(n int) time.Duration {
		r := newRig(t, Limits{})
		r.put(tag(1), int32(1))
		sub := r.subscribe(alice, nil)
		var items []*ua.MonitoredItemCreateRequest
		for range 10_000 {
			items = append(items, watch(tag(1), 7, nil))
		}
		at := time.Now()
		for ; n > 0; n -= 10_000 {
			r.e.Serve(alice, &ua.CreateMonitoredItemsRequest{RequestHeader: &ua.RequestHeader{}, SubscriptionID: sub, ItemsToCreate: items}, func([]byte) {})
		}
		made := time.Since(at)
		at = time.Now()
		r.e.SessionClosed(alice.Session, true)
		t.Logf("made in %v, dropped in %v", made, time.Since(at))
		return made + time.Since(at)
	}
	var few, many time.Duration
	for range 5 { // others work on the machine too
		if few, many = cost(10_000), cost(40_000); many <= 8*few {
			return
		}
	}
	t.Errorf("got %v for 40 000 items of one node, %v for 10 000: want about 4 times as much", many, few)
}

// one session takes everybody's items.
func TestOneSessionDoesNotTakeAllItems(t *testing.T) {
	r := newRig(t, Limits{Items: 20, ItemsPerSubscription: 10})
	r.put(tag(1), int32(1))
	for range 2 {
		sub := r.subscribe(alice, nil)
		for range 10 {
			r.monitor(alice, sub, watch(tag(1), 1, nil))
		}
	}
	bob := &Client{Session: 2, User: "bob"}
	if got := r.monitor(bob, r.subscribe(bob, nil), watch(tag(1), 1, nil))[0].StatusCode; got != ua.StatusOK {
		t.Errorf("got %v for the first item of a second session, want Good: another holds all there are", got)
	}
}
