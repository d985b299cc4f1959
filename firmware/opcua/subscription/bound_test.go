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

// Large values that nobody fetches: each item keeps its newest, and little more.
func TestQueuesAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{Queued: 4 << 20})
	r.put(tag(1), make([]byte, 1<<20))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 100 }))
	for n := range 20 {
		value := make([]byte, 1<<20)
		value[0] = byte(n + 1)
		r.set(tag(1), value)
	}
	if got := r.e.Stats().Queued; got > 6<<20 {
		t.Errorf("got %d MB queued, want 4 and one value", got>>20)
	}
	if got := r.e.Stats().Dropped; got < 10 {
		t.Errorf("got %d values counted as dropped, want most of 20", got)
	}
}

// What the literals of event filters hold is bounded, and given back.
func TestEventFiltersAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{FilterBytes: 4 << 20})
	sub := r.subscribe(alice, nil)
	heavy := func(size int) *ua.MonitoredItemCreateRequest {
		m := eventItem(7, 10, "Severity")
		m.RequestedParameters.Filter.Value.(*ua.EventFilter).WhereClause.Elements = []*ua.ContentFilterElement{{
			FilterOperator: ua.FilterOperatorIsNull, FilterOperands: []*ua.ExtensionObject{ua.NewExtensionObject(&ua.LiteralOperand{Value: ua.MustVariant(make([]byte, size))})},
		}}
		return m
	}
	made := r.monitor(alice, sub, heavy(1<<20), heavy(1<<20), heavy(100))
	if made[0].StatusCode != ua.StatusOK || made[1].StatusCode != ua.StatusBadTooManyMonitoredItems || made[2].StatusCode != ua.StatusOK {
		t.Fatalf("got %v, %v, %v; want Good, Bad_TooManyMonitoredItems, Good", made[0].StatusCode, made[1].StatusCode, made[2].StatusCode)
	}
	modify := func(p *ua.MonitoringParameters) ua.StatusCode {
		req := &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID, RequestedParameters: p}}}
		return r.ask(alice, req).(*ua.ModifyMonitoredItemsResponse).Results[0].StatusCode
	}
	if got := modify(heavy(100).RequestedParameters); got != ua.StatusOK {
		t.Fatal(got)
	}
	if got := r.monitor(alice, sub, heavy(1<<20))[0].StatusCode; got != ua.StatusOK {
		t.Errorf("once another weighs less: got %v, want Good", got)
	}
	r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if got := r.e.filters.Load(); got != 0 {
		t.Errorf("got %d bytes of filters when all are gone, want none", got)
	}
}

// One session may have 100 000 items: with their first values they are to fit in 64 MB.
func TestAnItemTakesLittleMemory(t *testing.T) {
	const items = 20_000
	r := newRig(t, Limits{})
	for n := range uint32(items) {
		r.put(tag(n), int32(n))
	}
	before := heapInUse()
	sub := r.subscribe(alice, nil)
	var list []*ua.MonitoredItemCreateRequest
	for n := range uint32(items) {
		if list = append(list, watch(tag(n), n, nil)); len(list) == 10_000 {
			r.monitor(alice, sub, list...)
			list = list[:0]
		}
	}
	list = nil
	if got := (heapInUse() - before) / items; got > 640 {
		t.Errorf("got %d bytes an item, want at most 640", got)
	}
	runtime.KeepAlive(r)
}
