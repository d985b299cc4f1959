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

// setParameters sets an item's parameters, or returns a bad status and changes nothing.
func (k *call) setParameters(it *item, p *ua.MonitoringParameters) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	if p == nil {
		return none, ua.StatusBadMonitoredItemFilterInvalid
	}
	var filter any
	if p.Filter != nil {
		filter = p.Filter.Value
		if filter == nil && p.Filter.TypeID != nil && p.Filter.TypeID.NodeID != nil &&
			p.Filter.TypeID.NodeID.IntID() != 0 {
			return none, ua.StatusBadMonitoredItemFilterUnsupported
		}
	}
	if it.events {
		return k.setEventFilter(it, p, filter)
	}
	made, code := k.dataFilter(it, filter)
	if code != ua.StatusOK {
		return none, code
	}
	it.filter, it.handle, it.discardOldest = made, p.ClientHandle, p.DiscardOldest
	it.queueSize = int(min(max(p.QueueSize, 1), k.cfg.Limits.DataQueue))
	it.samplingInterval = k.samplingInterval(it, p.SamplingInterval)
	return none, ua.StatusOK
}

func (k *call) samplingInterval(it *item, ms float64) time.Duration {
	if ms < 0 {
		return max(it.sub.interval, k.minSampling(it))
	}
	if ms == 0 && it.pushed {
		return 0
	}
	return max(interval(ms, k.cfg.Limits), k.minSampling(it))
}

func (k *call) minSampling(it *item) time.Duration {
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
		dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute),
			rawvalue.Limits{})
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

func (k *call) setEventFilter(it *item, p *ua.MonitoringParameters, filter any) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	f, ok := filter.(*ua.EventFilter)
	if !ok {
		return none, ua.StatusBadFilterNotAllowed
	}
	made := &eventSelection{}
	var result *ua.EventFilterResult
	var code ua.StatusCode
	k.cfg.Space.View(func(v addrspace.View) {
		if made.filter, result, code = k.fields.NewFilter(f, v, event.Limits{}); code == ua.StatusOK {
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
	made.size = filterSize(f, p.Filter) + int64(len(made.overflow))
	it.selection, it.handle, it.discardOldest = made, p.ClientHandle, p.DiscardOldest
	it.queueSize = int(k.cfg.Limits.EventQueue)
	if p.QueueSize > 0 {
		it.queueSize = int(min(p.QueueSize, k.cfg.Limits.EventQueue))
	}
	it.samplingInterval = 0
	return none, ua.StatusOK
}

// filterSize estimates the memory of a filter, bytes: a fixed size for each clause and
// operand, and twice the size of the encoded filter, for its literals.
func filterSize(f *ua.EventFilter, sent *ua.ExtensionObject) int64 {
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
	if err != nil { // it was decoded from bytes
		return math.MaxInt32
	}
	return int64(n*clause + 2*len(raw))
}
