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
