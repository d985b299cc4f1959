package subscription

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
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

// Messages are never acknowledged.
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
func TestItemsOfOneNodeAreCreatedInLinearTime(t *testing.T) {
	cost := func(n int) time.Duration {
		r := newRig(t, Limits{ItemsPerNode: 100_000})
		r.put(tag(1), int32(1))
		sub := r.subscribe(alice, nil)
		var items []*ua.MonitoredItemCreateRequest
		for range 10_000 {
			items = append(items, watch(tag(1), 7, nil))
		}
		at := time.Now()
		for ; n > 0; n -= 10_000 {
			r.e.Serve(alice,
				&ua.CreateMonitoredItemsRequest{RequestHeader: &ua.RequestHeader{}, SubscriptionID: sub,
					ItemsToCreate: items}, func([]byte) {})
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

// One session creates as many items as it can.
func TestOneSessionLeavesItemsForOthers(t *testing.T) {
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

// Large values are never published: each item keeps its newest, and little more.
func TestQueuesAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{Held: 4 << 20})
	r.put(tag(1), make([]byte, 1<<20))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub,
		watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 100 }))
	for n := range 20 {
		value := make([]byte, 1<<20)
		value[0] = byte(n + 1)
		r.set(tag(1), value)
	}
	if got := r.e.Stats().Held; got > 4<<20 {
		t.Errorf("got %d MB held, want 4", got>>20)
	}
	if got := r.e.Stats().Dropped; got < 10 {
		t.Errorf("got %d values counted as dropped, want most of 20", got)
	}
}

// What the literals of event filters hold is bounded, and given back.
func TestEventFiltersAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{HeldPerSession: 4 << 20})
	sub := r.subscribe(alice, nil)
	heavy := func(size int) *ua.MonitoredItemCreateRequest {
		m := eventItem(7, 10, "Severity")
		m.RequestedParameters.Filter.Value.(*ua.EventFilter).WhereClause.Elements = []*ua.ContentFilterElement{{
			FilterOperator: ua.FilterOperatorInList,
			FilterOperands: slices.Repeat([]*ua.ExtensionObject{ua.NewExtensionObject(
				&ua.LiteralOperand{Value: ua.MustVariant(make([]byte, min(size/2, 4000)))})}, max(2, size/4000)),
		}}
		return m
	}
	made := r.monitor(alice, sub, heavy(1<<20), heavy(1<<20), heavy(100))
	if made[0].StatusCode != ua.StatusOK || made[1].StatusCode != ua.StatusBadTooManyMonitoredItems ||
		made[2].StatusCode != ua.StatusOK {
		t.Fatalf("got %v, %v, %v; want Good, Bad_TooManyMonitoredItems, Good", made[0].StatusCode, made[1].StatusCode,
			made[2].StatusCode)
	}
	modify := func(p *ua.MonitoringParameters) ua.StatusCode {
		req := &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub,
			ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID,
				RequestedParameters: p}}}
		return r.ask(alice, req).(*ua.ModifyMonitoredItemsResponse).Results[0].StatusCode
	}
	if got := modify(heavy(100).RequestedParameters); got != ua.StatusOK {
		t.Fatal(got)
	}
	if got := r.monitor(alice, sub, heavy(1<<20))[0].StatusCode; got != ua.StatusOK {
		t.Errorf("once another weighs less: got %v, want Good", got)
	}
	r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if got := r.e.Stats().Held; got != 0 {
		t.Errorf("got %d bytes held when all are deleted, want none", got)
	}
}

// What items are counted with is what they hold. Of this many the maps that find them
// are at their emptiest, and one session may have more.
func TestAnItemUsesNoMoreMemoryThanCounted(t *testing.T) {
	const items = 60_000
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
	if got, most := (heapInUse()-before)/items, r.e.Stats().Held/items; r.e.Stats().Items != items || got > most ||
		most > 480 {
		t.Errorf("got %d bytes an item of %d that are counted, want no more, and at most 480", got, most)
	}
	runtime.KeepAlive(r)
}

func TestOneSessionMayHave100000Items(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	for n := range uint32(10) {
		var list []*ua.MonitoredItemCreateRequest
		for i := range uint32(10_000) {
			r.put(tag(n*10_000+i), int32(n))
			list = append(list, watch(tag(n*10_000+i), i, nil))
		}
		r.monitor(alice, sub, list...)
	}
	if got := r.e.Stats(); got.Items != 100_000 || got.Dropped != 0 {
		t.Errorf("got %d items and %d values lost, want 100 000 and none", got.Items, got.Dropped)
	}
	bob := &Client{Session: 2, User: "bob"}
	if got := r.monitor(bob, r.subscribe(bob, nil), watch(tag(1), 1, nil))[0].StatusCode; got != ua.StatusOK {
		t.Errorf("got %v for the first item of a second session, want Good", got)
	}
}

// However many watch a large value, it is held once; versions of it that clients leave
// unread are not without end.
func TestALargeValueIsCountedOnce(t *testing.T) {
	r := newRig(t, Limits{Held: 4 << 20})
	r.put(tag(1), make([]byte, 1<<20))
	sub := r.subscribe(alice, nil)
	for range 50 {
		r.monitor(alice, sub, watch(tag(1), 7, nil))
	}
	if got := r.e.Stats(); got.Held > 2<<20 || got.Dropped != 0 {
		t.Errorf("got %d bytes held and %d values lost for 50 items of one 1 MB value, want it once", got.Held,
			got.Dropped)
	}
	wide := func(m *ua.MonitoredItemCreateRequest) {
		m.RequestedParameters.Filter = ua.NewExtensionObject(
			&ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue,
				DeadbandType: uint32(ua.DeadbandTypeAbsolute), DeadbandValue: 1e9})
	}
	value := make([]float64, 128<<10)
	for n := range uint32(8) { // eight versions of 1 MB, each remembered by a deadband that nothing leaves
		r.put(tag(2), append([]float64(nil), value...))
		value[0] = float64(n)
		r.monitor(alice, sub, watch(tag(2), n, wide))
	}
	if got := r.e.Stats().Held; got > 4<<20 {
		t.Errorf("got %d MB held, want at most 4", got>>20)
	}
	without := 0
	for _, it := range r.e.subs[sub].items {
		if bytes.Equal(it.queue[0].raw, outOfMemory) {
			without++
		}
	}
	if without < 4 || without > 7 {
		t.Errorf("got %d items that say Bad_OutOfMemory, want those of the 8 for whose versions there was no room",
			without)
	}
	r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if got := r.e.Stats().Held; got != 0 || len(r.e.shared.users) != 0 {
		t.Errorf("got %d bytes and %d large values held when all are deleted, want none", got, len(r.e.shared.users))
	}
}

// Thousands of large values do not make one message.
func TestMessagesAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{MessageBytes: 4 << 10})
	r.put(tag(1), make([]byte, 1000))
	sub := r.subscribe(alice, nil)
	for range 20 {
		r.monitor(alice, sub, watch(tag(1), 7, nil))
	}
	var sizes []int
	for range 10 {
		r.e.Serve(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{}},
			func(b []byte) { sizes = append(sizes, len(b)) })
	}
	r.pass(150 * time.Millisecond)
	if len(sizes) != 4 || slices.Max(sizes) > 6<<10 {
		t.Errorf("got messages of %d bytes for 20 values of 1000 bytes, want 4 of about 5000", sizes)
	}
}

// Many subscriptions that acknowledge nothing hold no more together than there is.
func TestMessagesOfAllSubscriptionsAreBoundedTogether(t *testing.T) {
	r := newRig(t, Limits{Held: 8 << 20})
	const subs = 50
	r.put(tag(1), make([]byte, 200<<10))
	for range subs {
		r.monitor(alice, r.subscribe(alice, nil), watch(tag(1), 7, nil))
	}
	answers := 0
	for n := range 3 {
		value := make([]byte, 200<<10)
		value[0] = byte(n + 1)
		r.set(tag(1), value)
		for range subs {
			r.e.Serve(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{}}, func([]byte) { answers++ })
		}
		r.pass(150 * time.Millisecond)
	}
	if got := r.e.Stats().Held; got > 8<<20 || answers < 3*subs {
		t.Errorf("got %d MB held after %d answers, want at most 8 after %d", got>>20, answers, 3*subs)
	}
}

// Publish requests that bring thousands of acknowledgements, and wait.
func TestQueuedPublishRequestsAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{Held: 1 << 20})
	r.subscribe(alice, nil)
	acks := make([]*ua.SubscriptionAcknowledgement, 10_000)
	for i := range acks {
		acks[i] = &ua.SubscriptionAcknowledgement{SubscriptionID: 9, SequenceNumber: uint32(i)}
	}
	refused := 0
	for range 100 {
		r.e.Serve(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{}, SubscriptionAcknowledgements: acks},
			func([]byte) { refused++ })
	}
	if got := r.e.Stats().Held; got > 1<<20 || refused < 70 {
		t.Errorf("got %d KB held and %d of 100 requests refused, want at most 1024 and most", got>>10, refused)
	}
	r.e.SessionClosed(alice.Session, true)
	if got := r.e.Stats().Held; got != 0 {
		t.Errorf("got %d bytes held after the session, want none", got)
	}
}

// Each item of a node makes its changes more expensive, so that their number is bounded.
func TestItemsOfOneNodeAreBounded(t *testing.T) {
	r := newRig(t, Limits{ItemsPerNode: 3})
	r.put(tag(1), int32(1))
	made := map[ua.StatusCode]int{}
	for n := range uint32(25) {
		who := &Client{Session: n + 1}
		sub := r.subscribe(who, nil)
		for range 4 {
			made[r.monitor(who, sub, watch(tag(1), 7, nil))[0].StatusCode]++
		}
	}
	if got, want := fmt.Sprint(made),
		fmt.Sprint(map[ua.StatusCode]int{ua.StatusOK: 60, ua.StatusBadTooManyMonitoredItems: 40}); got != want {
		t.Errorf("got %v, want %v: three of a session, sixty in all", got, want)
	}
}

// A subscription counts for the session that it was transferred to.
func TestATransferMovesTheMemoryThatIsCounted(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	held := r.e.Stats().Held
	again := &Client{Session: 2, User: alice.User, Encrypted: true, Signed: true}
	r.ask(again, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if got := r.e.session(again.Session, again.Address).account.held.Load(); got != held || r.e.Stats().Held != held {
		t.Errorf("got %d bytes of the session and %d of all, want %d", got, r.e.Stats().Held, held)
	}
	r.e.SessionClosed(alice.Session, true)
	r.e.SessionClosed(again.Session, true)
	if got := r.e.Stats().Held; got != 0 {
		t.Errorf("got %d bytes held when all are deleted, want none", got)
	}
}

// The only value of a queue is held even at the limit, if it is small.
func TestASmallValueIsAlwaysHeld(t *testing.T) {
	r := newRig(t, Limits{HeldPerSession: itemCost + 1})
	r.put(tag(1), int32(1))
	r.monitor(alice, r.subscribe(alice, nil), watch(tag(1), 7, nil))
	for n := range int32(3) {
		got := r.publish(alice)
		r.pass(150 * time.Millisecond)
		if s, want := notifications(got), fmt.Sprintf("#%d 7=%d", n+1, n+1); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
		r.set(tag(1), n+2)
	}
	if got := r.e.Stats().Dropped; got != 0 {
		t.Errorf("got %d values counted as lost, want none", got)
	}
}

// A part of a value is cut out in memory that subscriptions share: what they hold is counted.
func TestSubscriptionsHoldNoMemoryForIndexRanges(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), make([]byte, 1<<20))
	part := func(m *ua.MonitoredItemCreateRequest) {
		m.ItemToMonitor.IndexRange, m.RequestedParameters.QueueSize = "0:99999999", 1
	}
	before := heapInUse()
	for range 50 {
		r.monitor(alice, r.subscribe(alice, nil), watch(tag(1), 7, part))
		r.e.Serve(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{}}, func([]byte) {})
	}
	r.pass(100 * ms)
	runtime.GC() // memory that is ready for the next use is freed by the second one
	if got := (heapInUse() - before - r.e.Stats().Held) >> 20; got > 16 {
		t.Errorf("got %d MB for 50 items with an index range beyond those that are counted, want at most 16", got)
	}
	runtime.KeepAlive(r)
}
