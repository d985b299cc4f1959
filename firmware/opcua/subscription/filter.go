package subscription

import (
	"errors"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// configure takes over an item's parameters, or leaves it as it was.
func (k *call) configure(it *item, p *ua.MonitoringParameters) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	if p == nil {
		return none, ua.StatusBadMonitoredItemFilterInvalid
	}
	var filter any
	if p.Filter != nil {
		filter = p.Filter.Value
		if filter == nil && p.Filter.TypeID != nil && p.Filter.TypeID.NodeID != nil && p.Filter.TypeID.NodeID.IntID() != 0 {
			return none, ua.StatusBadMonitoredItemFilterUnsupported
		}
	}
	if it.events {
		return k.configureEvents(it, p, filter)
	}
	made, code := k.dataFilter(it, filter)
	if code != ua.StatusOK {
		return none, code
	}
	it.filter, it.handle, it.discardOldest = made, p.ClientHandle, p.DiscardOldest
	it.size = int(min(max(p.QueueSize, 1), k.cfg.Limits.DataQueue))
	it.sampling = k.samplingOf(it, p.SamplingInterval)
	return none, ua.StatusOK
}

func (k *call) samplingOf(it *item, ms float64) time.Duration {
	if ms < 0 {
		return max(it.sub.interval, k.floor(it))
	}
	if ms == 0 && it.pushed {
		return 0
	}
	return max(interval(ms, k.cfg.Limits), k.floor(it))
}

func (k *call) floor(it *item) time.Duration {
	if it.attribute != ua.AttributeIDValue {
		return attributeSampling
	}
	return k.cfg.Limits.MinInterval
}

func (k *call) dataFilter(it *item, filter any) (rawvalue.Filter, ua.StatusCode) {
	trigger, kind, deadband := ua.DataChangeTriggerStatusValue, ua.DeadbandTypeNone, 0.0
	switch f := filter.(type) {
	case nil:
	case *ua.DataChangeFilter:
		if it.attribute != ua.AttributeIDValue {
			return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
		}
		trigger, kind, deadband = f.Trigger, ua.DeadbandType(f.DeadbandType), f.DeadbandValue
	case *ua.EventFilter:
		return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
	default:
		return rawvalue.Filter{}, ua.StatusBadMonitoredItemFilterUnsupported
	}
	var euRange rawvalue.Variant
	if kind != ua.DeadbandTypeNone {
		dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute), rawvalue.Limits{})
		if err == nil && !dv.Value.IsNull() && !rawvalue.IsNumber(dv.Value.Type()) {
			return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
		}
		euRange = k.cfg.Nodes.EURange(it.node)
	}
	made, err := rawvalue.NewFilter(trigger, kind, deadband, euRange)
	var e *rawvalue.Error
	if errors.As(err, &e) {
		return made, e.Code
	}
	return made, ua.StatusOK
}

func (k *call) configureEvents(it *item, p *ua.MonitoringParameters, filter any) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	f, ok := filter.(*ua.EventFilter)
	if !ok {
		return none, ua.StatusBadFilterNotAllowed
	}
	made := &choice{}
	var result *ua.EventFilterResult
	var code ua.StatusCode
	k.cfg.Space.View(func(v addrspace.View) {
		if made.filter, result, code = event.NewFilter(f, v, event.Limits{}); code == ua.StatusOK {
			made.overflow = made.filter.AppendFields(nil, event.QueueOverflow(k.stamp()), v)
		}
	})
	if result != nil {
		if result.SelectClauseDiagnosticInfos == nil {
			result.SelectClauseDiagnosticInfos = []*ua.DiagnosticInfo{}
		}
		none = ua.NewExtensionObject(result)
	}
	if code != ua.StatusOK {
		return none, code
	}
	made.weight = weigh(f, p.Filter) + int64(len(made.overflow))
	it.choice, it.handle, it.discardOldest = made, p.ClientHandle, p.DiscardOldest
	it.size = int(k.cfg.Limits.EventQueue)
	if p.QueueSize > 0 {
		it.size = int(min(p.QueueSize, k.cfg.Limits.EventQueue))
	}
	it.sampling = 0
	return none, ua.StatusOK
}

// weigh estimates what a filter holds, bytes: each clause and operand as such, and what
// was sent, literals above all.
func weigh(f *ua.EventFilter, sent *ua.ExtensionObject) int64 {
	const clause = 512
	n := len(f.SelectClauses)
	if f.WhereClause != nil {
		for _, e := range f.WhereClause.Elements {
			if n++; e != nil {
				n += len(e.FilterOperands)
			}
		}
	}
	raw, err := sent.Encode()
	if err != nil { // it came in encoded
		return math.MaxInt32
	}
	return int64(n*clause + 2*len(raw))
}
