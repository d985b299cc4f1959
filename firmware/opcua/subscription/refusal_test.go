package subscription

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// TestItemsThatAreRefused is what CreateMonitoredItems answers.
func TestItemsThatAreRefused(t *testing.T) {
	deadband := func(kind ua.DeadbandType, value float64) *ua.ExtensionObject {
		return ua.NewExtensionObject(
			&ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(kind),
				DeadbandValue: value})
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
			m.ItemToMonitor.AttributeID, m.ItemToMonitor.DataEncoding = ua.AttributeIDNodeClass,
				&ua.QualifiedName{Name: "Default Binary"}
		}, ua.StatusBadDataEncodingInvalid},
		{"XML", func(m *create) { m.ItemToMonitor.DataEncoding = &ua.QualifiedName{Name: "Default XML"} },
			ua.StatusBadDataEncodingUnsupported},
		{"encoding that there is not",
			func(m *create) { m.ItemToMonitor.DataEncoding = &ua.QualifiedName{Name: "Nonsense"} },
			ua.StatusBadDataEncodingInvalid},
		{"event filter on a value",
			func(m *create) { m.RequestedParameters.Filter = ua.NewExtensionObject(eventFilter("Severity")) },
			ua.StatusBadFilterNotAllowed},
		{"deadband of a text", func(m *create) {
			m.ItemToMonitor.NodeID, m.RequestedParameters.Filter = tag(2).UA(), deadband(ua.DeadbandTypeAbsolute, 1)
		}, ua.StatusBadFilterNotAllowed},
		{"negative deadband", func(m *create) { m.RequestedParameters.Filter = deadband(ua.DeadbandTypeAbsolute, -1) },
			ua.StatusBadDeadbandFilterInvalid},
		{"percent without EURange",
			func(m *create) { m.RequestedParameters.Filter = deadband(ua.DeadbandTypePercent, 5) },
			ua.StatusBadMonitoredItemFilterUnsupported},
		{"filter on another attribute", func(m *create) {
			m.ItemToMonitor.AttributeID, m.RequestedParameters.Filter = ua.AttributeIDNodeClass,
				deadband(ua.DeadbandTypeNone, 0)
		}, ua.StatusBadFilterNotAllowed},
		{"no event filter", func(m *create) {
			m.ItemToMonitor.NodeID, m.ItemToMonitor.AttributeID = ua.NewNumericNodeID(0, id.Server),
				ua.AttributeIDEventNotifier
		}, ua.StatusBadFilterNotAllowed},
		{"mode that is none", func(m *create) { m.MonitoringMode = 3 }, ua.StatusBadMonitoringModeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.put(tag(1), int32(1))
			r.put(tag(2), "text")
			if got := r.monitor(alice, r.subscribe(alice, nil),
				watch(tag(1), 7, c.change))[0].StatusCode; got != c.want {
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
		{"one subscription more than a session may have", alice,
			func(uint32) ua.Request { return &ua.CreateSubscriptionRequest{} }, ua.StatusBadTooManySubscriptions},
		{"another client's subscription", bob,
			func(n uint32) ua.Request { return &ua.ModifySubscriptionRequest{SubscriptionID: n} },
			ua.StatusBadSubscriptionIDInvalid},
		{"items of another client's", bob, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n,
				ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadSubscriptionIDInvalid},
		{"nothing to create", alice,
			func(n uint32) ua.Request { return &ua.CreateMonitoredItemsRequest{SubscriptionID: n} },
			ua.StatusBadNothingToDo},
		{"nothing to delete", alice, func(n uint32) ua.Request { return &ua.DeleteSubscriptionsRequest{} },
			ua.StatusBadNothingToDo},
		{"too much at once", alice, func(n uint32) ua.Request {
			return &ua.DeleteMonitoredItemsRequest{SubscriptionID: n, MonitoredItemIDs: make([]uint32, 3)}
		}, ua.StatusBadTooManyOperations},
		{"timestamps that are none", alice, func(n uint32) ua.Request {
			return &ua.CreateMonitoredItemsRequest{SubscriptionID: n, TimestampsToReturn: 4,
				ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}
		}, ua.StatusBadTimestampsToReturnInvalid},
		{"Publish without a subscription", bob, func(uint32) ua.Request { return &ua.PublishRequest{} },
			ua.StatusBadNoSubscription},
		{"a message that is not there", alice,
			func(n uint32) ua.Request { return &ua.RepublishRequest{SubscriptionID: n, RetransmitSequenceNumber: 9} },
			ua.StatusBadMessageNotAvailable},
		{"a service of others", alice, func(uint32) ua.Request { return &ua.ReadRequest{} },
			ua.StatusBadServiceUnsupported},
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
		resp := r.ask(bob,
			&ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{r.subscribe(alice,
				nil)}}).(*ua.TransferSubscriptionsResponse)
		if got := resp.Results[0].StatusCode; got != ua.StatusBadUserAccessDenied {
			t.Errorf("got %v, want Bad_UserAccessDenied", got)
		}
	})
}
