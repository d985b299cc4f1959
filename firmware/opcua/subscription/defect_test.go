package subscription

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// the event filter is changed while events are queued that the old one made.
func TestEventsThatWaitedKeepTheirOwnNumberOfFields(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, eventItem(7, 10, "Severity", "EventType"))
	r.e.Event(alarm(t, 1, 500, true))
	p := eventItem(7, 10, "Severity").RequestedParameters
	r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID, RequestedParameters: p}}})
	got := r.publish(alice)
	r.pass(200 * time.Millisecond)
	if s, want := told(got), "#1 7:500,i2782,"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// D1b: the same the other way round.
func TestEventsThatWaitedAreReadableAfterTheFilterGrew(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, eventItem(7, 10, "Severity"))
	r.e.Event(alarm(t, 1, 500, true))
	p := eventItem(7, 10, "Severity", "EventType", "EventId").RequestedParameters
	r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID, RequestedParameters: p}}})
	got := r.publish(alice)
	r.pass(200 * time.Millisecond)
	if s, want := told(got), "#1 7:500,"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// queues with a sampling interval: what is newest at each sample counts.
func TestTheNewestAtEachSampleIsQueued(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.RequestedPublishingInterval = 1000 })
	r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.SamplingInterval = 100 }))
	got := r.publish(alice)
	r.pass(20 * time.Millisecond)
	r.set(tag(1), int32(2))
	r.pass(500 * time.Millisecond)
	r.set(tag(1), int32(3))
	r.pass(600 * time.Millisecond)
	if s, want := told(got), "#1 7=1 7=2 7=3"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// an item that samples alone triggers too (OPC 10000-4 §5.13.1.6, behaviour 1).
func TestAnItemThatSamplesTriggersOthers(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	r.put(tag(2), int32(2))
	sub := r.subscribe(alice, nil)
	sampling := func(m *ua.MonitoredItemCreateRequest) { m.MonitoringMode = ua.MonitoringModeSampling }
	made := r.monitor(alice, sub, watch(tag(1), 1, sampling), watch(tag(2), 2, sampling))
	r.ask(alice, &ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: made[0].MonitoredItemID, LinksToAdd: []uint32{made[1].MonitoredItemID}})
	got := r.publish(alice)
	r.set(tag(1), int32(10))
	r.pass(150 * time.Millisecond)
	if s, want := told(got), "#1 2=2"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// the total bound takes a value's place without a word.
func TestTheTotalBoundIsToldByOverflow(t *testing.T) {
	r := newRig(t, Limits{Queued: 1})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	r.set(tag(1), int32(2))
	got := r.publish(alice)
	r.pass(150 * time.Millisecond)
	if s, want := told(got), "#1 7=2/00000480"; s != want {
		t.Errorf("got %q, want %q (dropped %d)", s, want, r.e.Stats().Dropped)
	}
}

// events that find the queue full are dropped without an EventQueueOverflowEvent (OPC 10000-4 §7.22.3).
func TestLostEventsAreTold(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 2, "Severity", "EventType"))
	for n := range uint16(5) {
		r.e.Event(alarm(t, 1, n, true))
	}
	got := r.publish(alice)
	r.pass(150 * time.Millisecond)
	if s, want := told(got), "i3035"; !strings.Contains(s, want) {
		t.Errorf("got %q, want one of EventQueueOverflowEventType (%s); dropped %d", s, want, r.e.Stats().Dropped)
	}
}

// a subscription goes to a channel that is not encrypted.
func TestWhatNeedsEncryptionStaysBehindWhenASubscriptionMoves(t *testing.T) {
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
	if s := told(got); strings.Contains(s, "42") || strings.Contains(s, "=1") {
		t.Errorf("got %q over a channel in the clear, want no value of a node that requires encryption", s)
	}
}

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

// one Call with many methods.
func TestManyMethodsInOneCallAreBoundedInBytes(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	for range 2 {
		var items []*ua.MonitoredItemCreateRequest
		for range 1000 {
			items = append(items, watch(tag(1), 7, nil))
		}
		r.monitor(alice, sub, items...)
	}
	var calls []*ua.CallMethodRequest
	for range 2000 {
		calls = append(calls, &ua.CallMethodRequest{ObjectID: ua.NewNumericNodeID(0, id.Server), MethodID: ua.NewNumericNodeID(0, id.Server_GetMonitoredItems), InputArguments: []*ua.Variant{ua.MustVariant(sub)}})
	}
	size := 0
	r.e.Serve(alice, &ua.CallRequest{RequestHeader: &ua.RequestHeader{}, MethodsToCall: calls}, func(b []byte) { size = len(b) })
	if size > 16<<20 {
		t.Errorf("got an answer of %d MB to one Call, want a bound (limits allow 50 × items, 5 × calls: 250 times as much)", size>>20)
	}
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
	few, many := cost(10_000), cost(40_000)
	if many > 8*few {
		t.Errorf("got %v for 40 000 items of one node, %v for 10 000: want about 4 times as much", many, few)
	}
}

// ModifyMonitoredItems while values come.
func TestModifyWhileValuesCome(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, watch(tag(1), 7, nil))
	done := make(chan struct{})
	values := [][]byte{dataValue(t, int32(2), 0), dataValue(t, int32(3), 0)}
	go func() {
		defer close(done)
		for i := range 2000 {
			r.e.Changed(tag(1), values[i%2])
		}
	}()
	for range 200 {
		r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID, RequestedParameters: watch(tag(1), 7, nil).RequestedParameters}}})
	}
	<-done
}

// an item is entered under its subscription's lock and reads the address space; an
// event reads the address space and wants that lock; a writer stands between them.
func TestEventsChangesAndNewItemsDoNotLockEachOtherOut(t *testing.T) {
	r := newRig(t, Limits{})
	nodes := &spacious{r}
	r.e.cfg.Nodes = nodes
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 2, "Severity"))
	stop := time.Now().Add(3 * time.Second)
	done := make(chan string, 3)
	ev := alarm(t, 1, 1, true)
	go func() {
		for time.Now().Before(stop) {
			r.e.Event(ev)
		}
		done <- "events"
	}()
	go func() {
		for time.Now().Before(stop) {
			_, _ = r.e.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: addrspace.Node{ID: tag(9), Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(1), 0)}, {ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: "x"}, 0)}}}}})
		}
		done <- "changes"
	}()
	go func() {
		for time.Now().Before(stop) {
			r.e.Serve(alice, &ua.CreateMonitoredItemsRequest{RequestHeader: &ua.RequestHeader{}, SubscriptionID: sub, ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}, func([]byte) {})
		}
		done <- "items"
	}()
	for range 3 {
		select {
		case <-done:
		case <-time.After(8 * time.Second):
			t.Fatal("locked out after 8 s (3 s of work): events hold the space and want the subscription, a new item holds the subscription and wants the space")
		}
	}
}

// spacious asks the address space, as the server does.
type spacious struct{ *rig }

func (s *spacious) AppendAttribute(dst []byte, c *Client, node rawvalue.NodeID, a ua.AttributeID) []byte {
	s.e.cfg.Space.View(func(addrspace.View) { dst = s.rig.AppendAttribute(dst, c, node, a) })
	return dst
}

// Publish requests that nothing can answer.
func TestATransferIsToldToASessionThatNeverPublished(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	other := *alice
	other.Session = 2
	r.ask(&other, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if s, want := told(r.publish(alice)), "#1 status/002d0000"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
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
