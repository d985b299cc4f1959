package subscription

import (
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// item is a monitored item. What is in the first block never changes, the rest is
// guarded by its subscription's lock, but due by the engine's.
type item struct {
	sub       *subscription
	id        uint32
	node      rawvalue.NodeID
	attribute ua.AttributeID
	part      rawvalue.Range
	pushed    bool
	events    bool

	handle        uint32
	mode          ua.MonitoringMode
	timestamps    ua.TimestampsToReturn
	sampling      time.Duration // 0: every change
	size          int
	discardOldest bool
	filter        rawvalue.Filter
	select_       *event.Filter

	queue     []entry
	ready     bool               // it stands in its subscription's list
	last      rawvalue.DataValue // that was queued; Raw is nil before the first
	newest    rawvalue.DataValue // that came too soon after it
	taken     int64              // when last was, ns since 1970
	triggers  []*item            // reported when this one is
	triggered bool
	due       time.Time // of the next sample
	gone      bool
}

// entry is what waits for a message: a DataValue, or the fields of an event.
type entry struct {
	raw      []byte
	overflow bool
}

// offer takes a new value if the filter wants it. Values that come faster than the
// item samples are kept for their time: the newest counts.
func (it *item) offer(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.events {
		return
	}
	if it.sampling > 0 && it.last.Raw != nil && now-it.taken < int64(it.sampling) {
		if it.newest.Raw == nil {
			it.sub.tardy = append(it.sub.tardy, it)
		}
		it.newest = dv
		return
	}
	it.newest = rawvalue.DataValue{}
	if part, ok := it.cut(dv); ok && (it.last.Raw == nil || it.filter.Changed(it.last, part)) {
		it.push(e, part, now)
	}
}

// cut applies the index range. What cannot be cut becomes the status that says why.
func (it *item) cut(dv rawvalue.DataValue) (rawvalue.DataValue, bool) {
	if it.part.Whole() || dv.Value.IsNull() {
		return dv, true
	}
	answer := rawvalue.Answer{Timestamps: ua.TimestampsToReturnBoth}
	variant, err := it.part.Append(nil, dv.Value)
	var raw []byte
	if err != nil {
		raw = rawvalue.AppendStatus(nil, ua.StatusBadIndexRangeNoData, answer)
	} else {
		raw = dv.AppendWith(nil, answer, variant)
	}
	out, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	return out, err == nil
}

func (it *item) push(e *Engine, dv rawvalue.DataValue, now int64) {
	it.last, it.taken = dv, now
	it.enqueue(e, entry{raw: dv.Raw})
}

// enqueue queues an entry; one that finds the queue full takes another's place, and
// tells of it (OPC 10000-4 §5.13.1.5).
func (it *item) enqueue(e *Engine, n entry) {
	full := len(it.queue) >= it.size || len(it.queue) > 0 && e.queued.Load() >= e.cfg.Limits.Queued
	switch {
	case !full:
		e.queued.Add(1)
		it.queue = append(it.queue, n)
	case it.events && !it.discardOldest:
		e.dropped.Add(1)
	case it.discardOldest:
		e.dropped.Add(1)
		copy(it.queue, it.queue[1:])
		it.queue[len(it.queue)-1] = n
		it.queue[0].overflow = len(it.queue) > 1
	default:
		e.dropped.Add(1)
		n.overflow = len(it.queue) > 1
		it.queue[len(it.queue)-1] = n
	}
	it.list()
	if it.mode == ua.MonitoringModeReporting {
		for _, other := range it.triggers {
			if !other.gone && other.mode == ua.MonitoringModeSampling && len(other.queue) > 0 {
				other.triggered = true
				other.list()
			}
		}
	}
}

// reports tells whether what is queued goes into the next message.
func (it *item) reports() bool {
	return len(it.queue) > 0 && (it.mode == ua.MonitoringModeReporting || it.mode == ua.MonitoringModeSampling && it.triggered)
}

func (it *item) list() {
	if !it.ready && it.reports() {
		it.ready = true
		it.sub.ready = append(it.sub.ready, it)
	}
}

// settle takes over the newest value once its time has come, and tells whether there
// is none left.
func (it *item) settle(e *Engine, now int64) bool {
	if it.newest.Raw != nil && now-it.taken >= int64(it.sampling) {
		it.offer(e, it.newest, now)
	}
	return it.newest.Raw == nil
}

// sample reads what nobody pushes. The engine's lock is held.
func (it *item) sample(e *Engine) {
	dv, err := rawvalue.SkimDataValue(it.read(e), rawvalue.Limits{})
	if err != nil {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if it.gone || it.mode == ua.MonitoringModeDisabled {
		return
	}
	if part, ok := it.cut(dv); ok && (it.last.Raw == nil || it.filter.Changed(it.last, part)) {
		it.push(e, part, e.now.Load())
	}
}

// read reads what the item monitors. No lock may be held but the engine's: the server
// looks into its address space, and whoever does that may wait for a lock of ours.
func (it *item) read(e *Engine) []byte {
	if it.events {
		return nil
	}
	return e.cfg.Nodes.AppendAttribute(nil, &it.sub.client, it.node, it.attribute)
}

// begin takes over the value that an item begins with, if no change has come first.
func (it *item) begin(e *Engine, raw []byte) {
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || it.events {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.last.Raw != nil {
		return
	}
	if part, ok := it.cut(dv); ok {
		it.push(e, part, e.now.Load())
	}
}

// notice takes an event if the filter wants it, or anyway.
func (it *item) notice(e *Engine, ev *event.Event, v addrspace.View, anyway bool) {
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.select_ == nil {
		return
	}
	if anyway || it.select_.Match(ev, v) {
		it.enqueue(e, entry{raw: it.select_.AppendFields(nil, ev, v)})
	}
}

// clear empties the queue, as when monitoring is disabled or the item goes.
func (it *item) clear(e *Engine) {
	e.queued.Add(-int64(len(it.queue)))
	it.queue, it.newest, it.triggered = nil, rawvalue.DataValue{}, false
}

// leave takes the item out of everything that feeds it. The engine's lock is held.
func (it *item) leave(e *Engine) {
	switch {
	case it.events:
		e.heed.remove(it)
	case it.pushed:
		e.shard(it.node).remove(it)
	default:
		delete(e.sampled, it)
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	it.gone = true
	it.clear(e)
	delete(it.sub.items, it.id)
	e.items.Add(-1)
}

// link has another item reported when this one is.
func (it *item) link(other *item, most int) ua.StatusCode {
	it.triggers = slices.DeleteFunc(it.triggers, func(o *item) bool { return o.gone })
	switch {
	case other == nil:
		return ua.StatusBadMonitoredItemIDInvalid
	case slices.Contains(it.triggers, other):
		return ua.StatusOK
	case len(it.triggers) >= most:
		return ua.StatusBadTooManyMonitoredItems
	}
	it.triggers = append(it.triggers, other)
	return ua.StatusOK
}

func (it *item) unlink(other *item) ua.StatusCode {
	if i := slices.Index(it.triggers, other); other != nil && i >= 0 {
		it.triggers = slices.Delete(it.triggers, i, i+1)
		return ua.StatusOK
	}
	return ua.StatusBadMonitoredItemIDInvalid
}

// hears tells whether an event is reported at the item's node.
func (it *item) hears(ev *event.Event) bool { return slices.Contains(ev.Notifiers, it.node) }
