package subscription

import (
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
)

const ms = time.Millisecond

func sampled(m *ua.MonitoredItemCreateRequest) { m.MonitoringMode = ua.MonitoringModeSampling }

// TestDelivery is what messages bring.
func TestDelivery(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(r *rig, sub uint32) string
		want string
	}{
		{"a first keep-alive at the first interval, then one each three", func(r *rig, sub uint32) string {
			a := []*[]any{r.publish(alice), r.publish(alice), r.publish(alice)}
			r.pass(410 * ms)
			return told(a...)
		}, "#1 #1"},
		{"nothing before the interval ends", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(90 * ms)
			return told(a)
		}, ""},
		{"every change in order, after the first value", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=1 7=2 7=3"},
		{"a value that is Bad", func(r *rig, sub uint32) string {
			r.values[tag(1)] = rawvalue.AppendStatus(nil, ua.StatusBadWaitingForInitialData, rawvalue.Answer{})
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=<nil>/80320000"},
		{"the oldest is discarded, and the one after it tells", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 2 }))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=2/00000480 7=3"},
		{"the newest is replaced, and tells", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) {
				m.RequestedParameters.QueueSize, m.RequestedParameters.DiscardOldest = 2, false
			}))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=1 7=3/00000480"},
		{"a queue of one does not tell", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.QueueSize = 0 }))
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=2"},
		{"an absolute deadband", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			f := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(ua.DeadbandTypeAbsolute), DeadbandValue: 2}
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.RequestedParameters.Filter = ua.NewExtensionObject(f) }))
			for _, n := range []int32{2, 3, 4, 5, 7} {
				r.set(tag(1), n)
			}
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=1 7=4 7=7"},
		{"a part of an array, and only when that part changes", func(r *rig, sub uint32) string {
			r.put(tag(1), []int32{1, 2, 3})
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.IndexRange = "1:2" }))
			r.set(tag(1), []int32{9, 2, 3})
			r.set(tag(1), []int32{9, 2, 4})
			r.set(tag(1), []int32{9})
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=[2 3] 7=[2 4] 7=<nil>/80370000"},
		{"messages of at most two notifications", func(r *rig, sub uint32) string {
			r.ask(alice, &ua.ModifySubscriptionRequest{SubscriptionID: sub, RequestedPublishingInterval: 100, RequestedMaxKeepAliveCount: 3, RequestedLifetimeCount: 9, MaxNotificationsPerPublish: 2})
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(2), 8, nil))
			r.set(tag(1), int32(3))
			r.set(tag(1), int32(4))
			r.pass(100 * ms)
			return told(a, b)
		}, "#1 7=1 7=3 more #2 7=4 8=2"},
		{"publishing that is disabled keeps what there is", func(r *rig, sub uint32) string {
			mode := func(on bool) {
				r.ask(alice, &ua.SetPublishingModeRequest{SubscriptionIDs: []uint32{sub}, PublishingEnabled: on})
			}
			mode(false)
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(200 * ms)
			mode(true)
			r.pass(100 * ms)
			return told(a, b)
		}, "#1 #1 7=1"},
		{"sampling alone reports nothing", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, sampled))
			r.pass(100 * ms)
			return told(a)
		}, "#1"},
		{"disabling forgets, enabling begins anew", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))[0].MonitoredItemID
			for _, m := range []ua.MonitoringMode{ua.MonitoringModeDisabled, ua.MonitoringModeReporting} {
				r.ask(alice, &ua.SetMonitoringModeRequest{SubscriptionID: sub, MonitoringMode: m, MonitoredItemIDs: []uint32{made}})
				r.set(tag(1), int32(2))
			}
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=2"},
		{"a reported item triggers one that samples, once", func(r *rig, sub uint32) string {
			a, b, c := r.publish(alice), r.publish(alice), r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil), watch(tag(2), 8, sampled))
			r.ask(alice, &ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: made[0].MonitoredItemID, LinksToAdd: []uint32{made[1].MonitoredItemID}})
			r.pass(100 * ms)
			r.set(tag(1), int32(3))
			r.pass(100 * ms)
			r.set(tag(2), int32(5))
			r.pass(100 * ms)
			return told(a, b, c)
		}, "#1 7=1 #2 7=3 8=2"},
		{"an attribute that nobody pushes", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.AttributeID = ua.AttributeIDNodeClass }))
			r.pass(100 * ms)
			return told(a)
		}, "#1 7=2"},
		{"a value that nobody pushes is sampled", func(r *rig, sub uint32) string {
			r.still[tag(1)] = true
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.put(tag(1), int32(2))
			r.pass(200 * ms)
			return told(a, b)
		}, "#1 7=1 #2 7=2"},
		{"an item that is deleted reports nothing any more", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.ask(alice, &ua.DeleteMonitoredItemsRequest{SubscriptionID: sub, MonitoredItemIDs: []uint32{made[0].MonitoredItemID}})
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return told(a)
		}, "#1"},
		{"a queue that is cut keeps the newest, and tells", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			made := r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.set(tag(1), int32(2))
			r.set(tag(1), int32(3))
			p := watch(tag(1), 9, nil).RequestedParameters
			p.QueueSize = 2
			r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, TimestampsToReturn: ua.TimestampsToReturnNeither, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made[0].MonitoredItemID, RequestedParameters: p}}})
			r.pass(100 * ms)
			return told(a)
		}, "#1 9=2/00000480 9=3"},
		{"a Publish that comes late gets the message at once", func(r *rig, sub uint32) string {
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(200 * ms)
			return told(r.publish(alice))
		}, "#1 7=1"},
		{"a subscription that nobody asks for ends", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.pass(100 * ms)
			r.pass(901 * ms)
			return told(a, r.publish(alice), r.publish(alice))
		}, "#1 #1 status/800a0000 " + told(&[]any{&ua.ServiceFault{ResponseHeader: &ua.ResponseHeader{ServiceResult: ua.StatusBadNoSubscription}}})},
		{"sequence numbers go on at 1", func(r *rig, sub uint32) string {
			r.e.subs[sub].sequence = math.MaxUint32 - 1
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.set(tag(1), int32(2))
			r.pass(100 * ms)
			return told(a, b)
		}, "#4294967295 7=1 #1 7=2"},
		{"the last values again on ResendData", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			r.ask(alice, method(id.Server_ResendData, sub))
			r.pass(100 * ms)
			return told(a, b)
		}, "#1 7=1 #2 7=1"},
		{"events, and their conditions again on a refresh", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, eventItem(7, 10, "Severity", "EventType"))
			r.e.Event(alarm(t, 1, 500, true))
			r.e.Event(alarm(t, 2, 600, false))
			r.pass(100 * ms)
			r.ask(alice, method(id.ConditionType_ConditionRefresh, sub))
			r.pass(100 * ms)
			return told(a, b)
		}, "#1 7:500,i2782, 7:600,i2782, #2 7:100,i2787, 7:500,i2782, 7:100,i2788,"},
		{"one message with values and events", func(r *rig, sub uint32) string {
			a := r.publish(alice)
			r.monitor(alice, sub, eventItem(7, 10, "Severity"), watch(tag(1), 8, nil))
			r.e.Event(alarm(t, 1, 500, true))
			r.pass(100 * ms)
			return told(a)
		}, "#1 8=1 7:500,"},
		{"the old session is told of a transfer", func(r *rig, sub uint32) string {
			a, b := r.publish(alice), r.publish(alice)
			r.monitor(alice, sub, watch(tag(1), 7, nil))
			r.pass(100 * ms)
			second := *alice
			second.Session = 2
			r.ask(&second, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}, SendInitialValues: true})
			c := r.publish(&second)
			r.pass(100 * ms)
			return told(a, b, c)
		}, "#1 7=1 #2 status/002d0000 #2 7=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			r.put(tag(2), int32(2))
			if got := c.run(r, r.subscribe(alice, nil)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func method(n uint32, args ...uint32) *ua.CallRequest {
	m := &ua.CallMethodRequest{ObjectID: ua.NewNumericNodeID(0, id.Server), MethodID: ua.NewNumericNodeID(0, n)}
	for _, a := range args {
		m.InputArguments = append(m.InputArguments, ua.MustVariant(a))
	}
	return &ua.CallRequest{MethodsToCall: []*ua.CallMethodRequest{m}}
}

// TestItemsThatAreRefused is what CreateMonitoredItems answers.
func TestItemsThatAreRefused(t *testing.T) {
	deadband := func(kind ua.DeadbandType, value float64) *ua.ExtensionObject {
		return ua.NewExtensionObject(&ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(kind), DeadbandValue: value})
	}
	type create = ua.MonitoredItemCreateRequest
	for _, c := range []struct {
		name   string
		change func(*create)
		want   ua.StatusCode
	}{
		{"nothing wrong", func(*create) {}, ua.StatusOK},
		{"unknown node", func(m *create) { m.ItemToMonitor.NodeID = tag(99).UA() }, ua.StatusBadNodeIDUnknown},
		{"unknown attribute", func(m *create) { m.ItemToMonitor.AttributeID = 99 }, ua.StatusBadAttributeIDInvalid},
		{"range that is none", func(m *create) { m.ItemToMonitor.IndexRange = "2:1" }, ua.StatusBadIndexRangeInvalid},
		{"range of another attribute", func(m *create) {
			m.ItemToMonitor.AttributeID, m.ItemToMonitor.IndexRange = ua.AttributeIDNodeClass, "1"
		}, ua.StatusBadIndexRangeInvalid},
		{"encoding of another attribute", func(m *create) {
			m.ItemToMonitor.AttributeID, m.ItemToMonitor.DataEncoding = ua.AttributeIDNodeClass, &ua.QualifiedName{Name: "Default Binary"}
		}, ua.StatusBadDataEncodingInvalid},
		{"XML", func(m *create) { m.ItemToMonitor.DataEncoding = &ua.QualifiedName{Name: "Default XML"} }, ua.StatusBadDataEncodingUnsupported},
		{"encoding that there is not", func(m *create) { m.ItemToMonitor.DataEncoding = &ua.QualifiedName{Name: "Nonsense"} }, ua.StatusBadDataEncodingInvalid},
		{"event filter on a value", func(m *create) { m.RequestedParameters.Filter = ua.NewExtensionObject(eventFilter("Severity")) }, ua.StatusBadFilterNotAllowed},
		{"deadband of a text", func(m *create) {
			m.ItemToMonitor.NodeID, m.RequestedParameters.Filter = tag(2).UA(), deadband(ua.DeadbandTypeAbsolute, 1)
		}, ua.StatusBadFilterNotAllowed},
		{"negative deadband", func(m *create) { m.RequestedParameters.Filter = deadband(ua.DeadbandTypeAbsolute, -1) }, ua.StatusBadDeadbandFilterInvalid},
		{"percent without EURange", func(m *create) { m.RequestedParameters.Filter = deadband(ua.DeadbandTypePercent, 5) }, ua.StatusBadMonitoredItemFilterUnsupported},
		{"filter on another attribute", func(m *create) {
			m.ItemToMonitor.AttributeID, m.RequestedParameters.Filter = ua.AttributeIDNodeClass, deadband(ua.DeadbandTypeNone, 0)
		}, ua.StatusBadFilterNotAllowed},
		{"no event filter", func(m *create) {
			m.ItemToMonitor.NodeID, m.ItemToMonitor.AttributeID = ua.NewNumericNodeID(0, id.Server), ua.AttributeIDEventNotifier
		}, ua.StatusBadFilterNotAllowed},
		{"mode that is none", func(m *create) { m.MonitoringMode = 3 }, ua.StatusBadMonitoringModeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			r.put(tag(2), "text")
			if got := r.monitor(alice, r.subscribe(alice, nil), watch(tag(1), 7, c.change))[0].StatusCode; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
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
		{"one subscription more than a session may have", alice, func(uint32) ua.Request { return &ua.CreateSubscriptionRequest{} }, ua.StatusBadTooManySubscriptions},
		{"somebody else's subscription", bob, func(n uint32) ua.Request { return &ua.ModifySubscriptionRequest{SubscriptionID: n} }, ua.StatusBadSubscriptionIDInvalid},
		{"items in somebody else's", bob, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n, ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadSubscriptionIDInvalid},
		{"nothing to create", alice, func(n uint32) ua.Request { return &ua.CreateMonitoredItemsRequest{SubscriptionID: n} }, ua.StatusBadNothingToDo},
		{"nothing to delete", alice, func(n uint32) ua.Request { return &ua.DeleteSubscriptionsRequest{} }, ua.StatusBadNothingToDo},
		{"too much at once", alice, func(n uint32) ua.Request {
			return &ua.DeleteMonitoredItemsRequest{SubscriptionID: n, MonitoredItemIDs: make([]uint32, 3)}
		}, ua.StatusBadTooManyOperations},
		{"timestamps that are none", alice, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n, TimestampsToReturn: 4, ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadTimestampsToReturnInvalid},
		{"Publish without a subscription", bob, func(uint32) ua.Request { return &ua.PublishRequest{} }, ua.StatusBadNoSubscription},
		{"a message that is not there", alice, func(n uint32) ua.Request { return &ua.RepublishRequest{SubscriptionID: n, RetransmitSequenceNumber: 9} }, ua.StatusBadMessageNotAvailable},
		{"a service of others", alice, func(uint32) ua.Request { return &ua.ReadRequest{} }, ua.StatusBadServiceUnsupported},
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
		resp := r.ask(bob, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{r.subscribe(alice, nil)}}).(*ua.TransferSubscriptionsResponse)
		if got := resp.Results[0].StatusCode; got != ua.StatusBadUserAccessDenied {
			t.Errorf("got %v, want Bad_UserAccessDenied", got)
		}
	})
}

func TestPublishRequestsAreBoundedAndTimeOut(t *testing.T) {
	r := newRig(t, Limits{PublishPerSession: 1})
	sub := r.subscribe(alice, nil)
	oldest := r.publish(alice)
	hasty := r.send(alice, &ua.PublishRequest{RequestHeader: &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0), TimeoutHint: 20}})
	if got := code((*oldest)[0]); got != ua.StatusBadTooManyPublishRequests {
		t.Errorf("got %v for the oldest, want Bad_TooManyPublishRequests", got)
	}
	r.pass(50 * ms)
	if len(*hasty) != 1 || code((*hasty)[0]) != ua.StatusBadTimeout {
		t.Errorf("got %q, want Bad_Timeout", told(hasty))
	}
	last := r.publish(alice)
	r.ask(alice, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if len(*last) != 1 || code((*last)[0]) != ua.StatusBadNoSubscription {
		t.Errorf("got %q when the last subscription went, want Bad_NoSubscription", told(last))
	}
	if n := r.e.items.Load(); n != 0 {
		t.Errorf("got %d items left, want none", n)
	}
}

func TestRepublishUntilAcknowledged(t *testing.T) {
	r := newRig(t, Limits{Retransmission: 2})
	r.put(tag(1), int32(0))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	var last *[]any
	for n := range int32(3) {
		last = r.publish(alice)
		r.set(tag(1), n+1)
		r.pass(100 * ms)
	}
	if got := (*last)[0].(*ua.PublishResponse).AvailableSequenceNumbers; len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("got %v available, want 2 and 3", got)
	}
	again := r.ask(alice, &ua.RepublishRequest{SubscriptionID: sub, RetransmitSequenceNumber: 3}).(*ua.RepublishResponse).NotificationMessage
	if want := (*last)[0].(*ua.PublishResponse).NotificationMessage; again.SequenceNumber != 3 || !again.PublishTime.Equal(want.PublishTime) || len(again.NotificationData) != 1 {
		t.Errorf("got %+v, want %+v", again, want)
	}
	ack := func(s, n uint32) *ua.SubscriptionAcknowledgement {
		return &ua.SubscriptionAcknowledgement{SubscriptionID: s, SequenceNumber: n}
	}
	a := r.publish(alice, ack(sub, 3), ack(sub, 1), ack(sub+1, 2))
	r.pass(300 * ms)
	got := (*a)[0].(*ua.PublishResponse).Results
	if len(got) != 3 || got[0] != ua.StatusOK || got[1] != ua.StatusBadSequenceNumberUnknown || got[2] != ua.StatusBadSubscriptionIDInvalid {
		t.Errorf("got %v, want Good, Bad_SequenceNumberUnknown, Bad_SubscriptionIdInvalid", got)
	}
}

func TestIntervalsAreRevised(t *testing.T) {
	r := newRig(t, Limits{})
	for _, c := range []struct {
		ask  ua.CreateSubscriptionRequest
		want [3]float64
	}{
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: 0}, [3]float64{50, 1, 3}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: math.NaN(), RequestedMaxKeepAliveCount: 10, RequestedLifetimeCount: 20}, [3]float64{50, 10, 30}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: math.Inf(1), RequestedMaxKeepAliveCount: math.MaxUint32, RequestedLifetimeCount: math.MaxUint32}, [3]float64{3_600_000, 2, 6}},
		{ua.CreateSubscriptionRequest{RequestedPublishingInterval: 250, RequestedMaxKeepAliveCount: 4, RequestedLifetimeCount: 100}, [3]float64{250, 4, 100}},
	} {
		got := r.ask(alice, &c.ask).(*ua.CreateSubscriptionResponse)
		if [3]float64{got.RevisedPublishingInterval, float64(got.RevisedMaxKeepAliveCount), float64(got.RevisedLifetimeCount)} != c.want {
			t.Errorf("got %+v, want %v", got, c.want)
		}
	}
}

func TestTheHigherPriorityIsServedFirst(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	low := r.subscribe(alice, nil)
	high := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.Priority = 9 })
	r.monitor(alice, low, watch(tag(1), 7, nil))
	r.monitor(alice, high, watch(tag(1), 8, nil))
	a := r.publish(alice)
	r.pass(100 * ms)
	b := r.publish(alice)
	if got, want := told(a, b), "#1 8=1 #1 7=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzServe(f *testing.F) {
	for _, req := range []any{
		&ua.CreateMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: 1, ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil), eventItem(8, 2, "Severity")}},
		&ua.PublishRequest{RequestHeader: head(), SubscriptionAcknowledgements: []*ua.SubscriptionAcknowledgement{{SubscriptionID: 1, SequenceNumber: 1}}},
		&ua.SetTriggeringRequest{RequestHeader: head(), SubscriptionID: 1, TriggeringItemID: 1, LinksToAdd: []uint32{1, 2}},
		&ua.TransferSubscriptionsRequest{RequestHeader: head(), SubscriptionIDs: []uint32{1}, SendInitialValues: true},
		&ua.ModifyMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: 1, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: 1, RequestedParameters: watch(tag(1), 1, nil).RequestedParameters}}},
		&ua.SetMonitoringModeRequest{RequestHeader: head(), SubscriptionID: 1, MonitoredItemIDs: []uint32{1}},
		&ua.CallRequest{RequestHeader: head(), MethodsToCall: method(id.ConditionType_ConditionRefresh2, 1, 2).MethodsToCall},
		&ua.CreateSubscriptionRequest{RequestHeader: head()}, &ua.RepublishRequest{RequestHeader: head(), SubscriptionID: 1, RetransmitSequenceNumber: 1},
	} {
		b, err := channel.Encode(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := channel.Decode(b)
		if err != nil {
			return
		}
		r := newRig(t, Limits{Operations: 10, DataQueue: 5, EventQueue: 5})
		r.put(tag(1), int32(1))
		sub := r.subscribe(alice, nil)
		r.monitor(alice, sub, watch(tag(1), 7, nil), eventItem(8, 2, "Severity"))
		answers := 0
		for range 2 {
			r.e.Serve(alice, req, func(body []byte) {
				answers++
				if _, err := channel.Decode(body); err != nil {
					t.Errorf("%T: the answer cannot be read: %v", req, err)
				}
			})
			r.set(tag(1), int32(2))
			r.e.Event(alarm(t, 1, 1, true))
			r.publish(alice)
			r.pass(100 * ms)
		}
		r.e.Reset()
		if answers != 2 {
			t.Errorf("%T: got %d answers to 2 requests", req, answers)
		}
		if st := r.e.Stats(); st.Items != 0 || st.Queued != 0 || st.Subscriptions != 0 {
			t.Errorf("%T: got %+v after all was ended, want zeros", req, st)
		}
	})
}
