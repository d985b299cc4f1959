package subscription

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func sampled(m *ua.MonitoredItemCreateRequest)  { m.MonitoringMode = ua.MonitoringModeSampling }
func disabled(m *ua.MonitoredItemCreateRequest) { m.MonitoringMode = ua.MonitoringModeDisabled }

// TestModes is what is reported, and when.
func TestModes(t *testing.T) {
	deliver(t, []delivery{
		{"sampling alone reports nothing", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, sampled))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1"},
		{"disabling forgets, enabling begins again", func(r *rig, sub uint32) string {
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
		{"a change while an item is enabled is not lost", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, disabled))[0].MonitoredItemID
			r.during = func() { r.set(tag(1), int32(2)) }
			r.ask(alice, &ua.SetMonitoringModeRequest{SubscriptionID: sub,
				MonitoringMode: ua.MonitoringModeReporting, MonitoredItemIDs: []uint32{made}})
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
