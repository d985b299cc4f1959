package subscription

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Links between items, and to items that are deleted.
func TestLinksAreBoundedAndEndWithTheirItems(t *testing.T) {
	r := newRig(t, Limits{Links: 5})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	var ids []uint32
	for range 10 {
		ids = append(ids, r.monitor(alice, sub, watch(tag(1), 7, nil))[0].MonitoredItemID)
	}
	before := r.e.Stats().Held
	link := func(add, remove []uint32) (got []ua.StatusCode) {
		return r.ask(alice,
			&ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: ids[0], LinksToAdd: add,
				LinksToRemove: remove}).(*ua.SetTriggeringResponse).AddResults
	}
	if got, want := fmt.Sprint(link(ids[1:8], nil)),
		fmt.Sprint([]ua.StatusCode{0, 0, 0, 0, 0, ua.StatusBadTooManyMonitoredItems,
			ua.StatusBadTooManyMonitoredItems}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	link(nil, ids[1:2])
	r.ask(alice, &ua.DeleteMonitoredItemsRequest{SubscriptionID: sub, MonitoredItemIDs: ids[2:6]})
	r.e.subs[sub].mu.Lock()
	if got := len(r.e.subs[sub].items[ids[0]].triggered); got != 0 {
		t.Errorf("got %d links to deleted or unlinked items, want none", got)
	}
	r.e.subs[sub].mu.Unlock()
	if got, want := r.e.Stats().Held, before*6/10; got != want {
		t.Errorf("got %d bytes held by 6 items of 10, want %d", got, want)
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
	r.ask(alice, &ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: made[0].MonitoredItemID,
		LinksToAdd: []uint32{made[1].MonitoredItemID}})
	got := r.publish(alice)
	r.set(tag(1), int32(10))
	r.pass(150 * time.Millisecond)
	if s, want := notifications(got), "#1 2=2"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

func TestAnUnlinkedItemIsNotTriggered(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	r.put(tag(2), int32(2))
	sub := r.subscribe(alice, nil)
	made := r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(2), 8, sampled), watch(tag(2), 9, sampled))
	one, two, three := made[0].MonitoredItemID, made[1].MonitoredItemID, made[2].MonitoredItemID
	set := func(add, remove []uint32) *ua.SetTriggeringResponse {
		return r.ask(alice,
			&ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: one, LinksToAdd: add,
				LinksToRemove: remove}).(*ua.SetTriggeringResponse)
	}
	if got := set([]uint32{two, three, 99}, nil).AddResults; !slices.Equal(got,
		[]ua.StatusCode{ua.StatusOK, ua.StatusOK, ua.StatusBadMonitoredItemIDInvalid}) {
		t.Errorf("linking: got %v", got)
	}
	// Links are removed before others are added (OPC 10000-4 §5.13.5).
	got := set([]uint32{three}, []uint32{two, three, two})
	if want := []ua.StatusCode{ua.StatusOK, ua.StatusOK, ua.StatusBadMonitoredItemIDInvalid}; !slices.Equal(
		got.RemoveResults, want) || got.AddResults[0] != ua.StatusOK {
		t.Errorf("unlinking: got %v and %v, want %v and Good", got.RemoveResults, got.AddResults, want)
	}
	a := r.publish(alice)
	r.set(tag(1), int32(3))
	r.pass(100 * ms)
	if got, want := notifications(a), "#1 7=1 7=3 9=2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.ask(alice, &ua.DeleteMonitoredItemsRequest{SubscriptionID: sub, MonitoredItemIDs: []uint32{three}})
	if got := set(nil, []uint32{three}).RemoveResults[0]; got != ua.StatusBadMonitoredItemIDInvalid {
		t.Errorf("unlinking a deleted one: got %v, want Bad_MonitoredItemIdInvalid", got)
	}
}
