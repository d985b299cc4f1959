package subscription

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// TestDelivery is what messages bring of values.
func TestDelivery(t *testing.T) {
	deliver(t, []delivery{
		{"every change in order, after the first value", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=1 7=2 7=3"},
		{"a value that is Bad", func(r *rig, sub uint32) string {
			r.values[tag(1)] = rawvalue.AppendStatus(nil, ua.StatusBadWaitingForInitialData, rawvalue.Answer{})
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=<nil>/80320000"},
		{"the oldest is discarded, and the next one has the overflow bit", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub,
				watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 2 }))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=2/00000480 7=3"},
		{"the newest is replaced, and has the overflow bit", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) {
				m.RequestedParameters.QueueSize, m.RequestedParameters.DiscardOldest = 2, false
			}))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=1 7=3/00000480"},
		{"a queue of one has no overflow bit", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub,
				watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 0 }))
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=2"},
		{"an absolute deadband", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			f := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue,
				DeadbandType: uint32(ua.DeadbandTypeAbsolute), DeadbandValue: 2}
			r.monitor(alice, sub,
				watch(tag(1), 7,
					func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.Filter = ua.NewExtensionObject(f) }))
			for _, n := range []int32{2, 3, 4, 5, 7} {
				r.set(tag(1), n)
			}
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=1 7=4 7=7"},
		{"a percent deadband is of the EURange", func(r *rig, sub uint32) string {
			r.ranges[tag(1)] = euRange(r.t, -100, 100)
			a := r.publish(alice)
			f := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue,
				DeadbandType: uint32(ua.DeadbandTypePercent), DeadbandValue: 5}
			r.monitor(alice, sub,
				watch(tag(1), 7,
					func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.Filter = ua.NewExtensionObject(f) }))
			for _, n := range []int32{11, 12, 2, 1} { // ten and no more is within
				r.set(tag(1), n)
			}
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=1 7=12 7=1"},
		{"a part of an array, and only when that part changes", func(r *rig, sub uint32) string {
			r.put(tag(1), []int32{1, 2, 3})
			a := r.publish(alice)
			r.monitor(alice, sub,
				watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.IndexRange = "1:2" }))
			r.set(tag(1), []int32{9, 2, 3})
			r.set(tag(1), []int32{9, 2, 4})
			r.set(tag(1), []int32{9})
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=[2 3] 7=[2 4] 7=<nil>/80370000"},
		{"an attribute that is sampled", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub,
				watch(tag(1), 7,
					func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.AttributeID = ua.AttributeIDNodeClass }))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 7=2"},
		{"a value that is sampled", func(r *rig, sub uint32) string {
			r.still[tag(1)] = true
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.put(tag(1), int32(2))
			r.pass(200 * ms)
			return notifications(a, b)
		}, "#1 7=1 #2 7=2"},
		{"an item that is deleted reports nothing any more", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.ask(alice,
				&ua.DeleteMonitoredItemsRequest{SubscriptionID: sub,
					MonitoredItemIDs: []uint32{made[0].MonitoredItemID}})
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return notifications(a)
		}, "#1"},
		{"a queue that becomes shorter keeps the newest, with the overflow bit", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			p := watch(tag(1), 9, nil).RequestedParameters
			p.QueueSize = 2
			r.ask(alice,
				&ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, TimestampsToReturn: ua.TimestampsToReturnNeither,
					ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID,
						RequestedParameters: p}}})
			r.pass(100 * ms)
			return notifications(a)
		}, "#1 9=2/00000480 9=3"},
	})
}

// queues with a sampling interval: what is newest at each sample counts.
func TestTheNewestAtEachSampleIsQueued(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.RequestedPublishingInterval = 1000 })
	r.monitor(alice, sub,
		watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.SamplingInterval = 100 }))
	got := r.publish(alice)
	r.pass(20 * time.Millisecond)
	r.set(tag(1), int32(2))
	r.pass(500 * time.Millisecond)
	r.set(tag(1), int32(3))
	r.pass(600 * time.Millisecond)
	if s, want := notifications(got), "#1 7=1 7=2 7=3"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// A value that the total limit discards sets the overflow bit.
func TestTheTotalLimitSetsTheOverflowBit(t *testing.T) {
	r := newRig(t, Limits{HeldPerSession: itemCost + 64})
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	r.set(tag(1), int32(2))
	got := r.publish(alice)
	r.pass(150 * time.Millisecond)
	if s, want := notifications(got), "#1 7=2/00000480"; s != want {
		t.Errorf("got %q, want %q (dropped %d)", s, want, r.e.Stats().Dropped)
	}
}

// ModifyMonitoredItems while values come.
func TestModifyWhileValuesChange(t *testing.T) {
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
		r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub,
			ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID,
				RequestedParameters: watch(tag(1), 7, nil).RequestedParameters}}})
	}
	<-done
}

func euRange(t testing.TB, low, high float64) rawvalue.Variant {
	t.Helper()
	dv, err := rawvalue.SkimDataValue(dataValue(t, ua.NewExtensionObject(&ua.Range{Low: low, High: high}), ua.StatusOK),
		rawvalue.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return dv.Value
}

// Timestamps come as they were asked for; what is no Value has no source's.
func TestTimestampsToReturn(t *testing.T) {
	source := time.Date(2029, 12, 31, 0, 0, 0, 0, time.UTC)
	raw, err := (&ua.DataValue{EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp,
		Value: ua.MustVariant(int32(1)), SourceTimestamp: source}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ask                        ua.TimestampsToReturn
		attribute                  ua.AttributeID
		hasSource, hasServer, fail bool
	}{
		"source": {ask: ua.TimestampsToReturnSource, attribute: ua.AttributeIDValue, hasSource: true},
		"server": {ask: ua.TimestampsToReturnServer, attribute: ua.AttributeIDValue, hasServer: true},
		"both": {ask: ua.TimestampsToReturnBoth, attribute: ua.AttributeIDValue, hasSource: true,
			hasServer: true},
		"neither":           {ask: ua.TimestampsToReturnNeither, attribute: ua.AttributeIDValue},
		"source of a class": {ask: ua.TimestampsToReturnSource, attribute: ua.AttributeIDNodeClass},
		"both of a class": {ask: ua.TimestampsToReturnBoth, attribute: ua.AttributeIDNodeClass,
			hasServer: true},
		"one that there is not":   {ask: 4, attribute: ua.AttributeIDValue, fail: true},
		"another beyond the last": {ask: 0x7fffffff, attribute: ua.AttributeIDValue, fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.values[tag(1)] = raw
			sub := r.subscribe(alice, nil)
			item := watch(tag(1), 7,
				func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.AttributeID = c.attribute })
			made := r.ask(alice,
				&ua.CreateMonitoredItemsRequest{SubscriptionID: sub, TimestampsToReturn: c.ask,
					ItemsToCreate: []*ua.MonitoredItemCreateRequest{item}})
			if c.fail {
				if got := code(made); got != ua.StatusBadTimestampsToReturnInvalid {
					t.Errorf("got %v, want Bad_TimestampsToReturnInvalid", got)
				}
				return
			}
			a := r.publish(alice)
			r.pass(100 * ms)
			data := (*a)[0].(*ua.PublishResponse).NotificationMessage.NotificationData
			got := data[0].Value.(*ua.DataChangeNotification).MonitoredItems[0].Value
			if got.Has(ua.DataValueSourceTimestamp) != c.hasSource ||
				got.Has(ua.DataValueServerTimestamp) != c.hasServer {
				t.Errorf("got mask %x, want source %v, server %v", got.EncodingMask, c.hasSource, c.hasServer)
			}
			if c.hasSource && !got.SourceTimestamp.Equal(source) {
				t.Errorf("got source time %v, want %v", got.SourceTimestamp, source)
			}
			if c.hasServer && !got.ServerTimestamp.Equal(r.at) {
				t.Errorf("got server time %v, want %v", got.ServerTimestamp, r.at)
			}
		})
	}
}
