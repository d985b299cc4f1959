package subscription

import (
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func sampled(m *ua.MonitoredItemCreateRequest) { m.MonitoringMode = ua.MonitoringModeSampling }

// TestModes is what is reported, and when.
func TestModes(t *testing.T) {
	deliver(t, []delivery{
		{"sampling alone reports nothing", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, sampled))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1"},
		{"disabling forgets, enabling begins anew", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))[0].MonitoredItemID
			for _, m := range []ua.MonitoringMode{ua.MonitoringModeDisabled, ua.MonitoringModeReporting} {
				r.ask(alice,
					&ua.SetMonitoringModeRequest{SubscriptionID: sub, MonitoringMode: m,
						MonitoredItemIDs: []uint32{made}})
				r.set(tag(1), int32(2))
			}
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=2"},
		{"a reported item triggers one that samples, once", func(r *rig, sub uint32) string {
			a, b, c := r.publish(alice), r.publish(alice), r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(2), 8, sampled))
			r.ask(alice,
				&ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: made[0].MonitoredItemID,
					LinksToAdd: []uint32{made[1].MonitoredItemID}})
			r.pass(100 * ms)
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			r.set(tag(2), int32(5))
			r.pass(100 * ms)
			return notifications(a, b, c)
		}, "#1 7=1 #2 7=3 8=2"},
		{"the last values again on ResendData", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.call(alice, id.Server_ResendData, sub)
			r.pass(100 * ms)
			return notifications(a, b)
		}, "#1 7=1 #2 7=1"},
	})
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
