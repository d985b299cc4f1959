package subscription

import (
	"bytes"
	"slices"
	"time"
	"unsafe"

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
	part      *rawvalue.Range // nil: all of the value
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
	weight        int64 // of select_, bytes

	queue     []entry
	ready     bool               // it stands in its subscription's list
	last      rawvalue.DataValue // that was queued; Raw is nil before the first
	newest    []byte             // that came too soon after it
	taken     int64              // when last was, see Engine.now
	overflow  []byte             // what is told of events that are lost
	triggers  []*item            // reported when this one is
	triggered bool
	due       time.Time // of the next sample
	place     int       // among the engine's sampled
	gone      bool
}

// entry is what waits for a message: a DataValue, or the fields of an event.
type entry struct {
	raw      []byte
	fields   uint32 // of an event
	overflow bool
}

// cost is what an entry may hold, bytes: a value that others share, or that is still
// the newest, counts as if it were its own.
func (n *entry) cost() int64 { return int64(unsafe.Sizeof(*n)) + int64(len(n.raw)) }

// offer takes a new value if the filter wants it. Values that come faster than the
// item samples are kept for their time: the newest counts.
func (it *item) offer(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.events {
		return
	}
	if it.sampling > 0 && it.last.Raw != nil && now-it.taken < int64(it.sampling) {
		if it.newest == nil {
			it.sub.tardy = append(it.sub.tardy, it)
			it.sub.waits.Store(true)
		}
		it.newest = dv.Raw
		return
	}
	it.newest = nil
	if part, ok := it.cut(dv); ok && (it.last.Raw == nil || it.filter.Changed(it.last, part)) {
		it.push(e, part, now)
	}
}

// cut applies the index range. What cannot be cut becomes the status that says why. The
// result is good until the next cut of the subscription.
func (it *item) cut(dv rawvalue.DataValue) (rawvalue.DataValue, bool) {
	if it.part == nil || dv.Value.IsNull() {
		return dv, true
	}
	answer := rawvalue.Answer{Timestamps: ua.TimestampsToReturnBoth}
	s := it.sub
	var err error
	if s.part, err = it.part.Append(s.part[:0], dv.Value); err != nil {
		s.cut = rawvalue.AppendStatus(s.cut[:0], ua.StatusBadIndexRangeNoData, answer)
	} else {
		s.cut = dv.AppendWith(s.cut[:0], answer, s.part)
	}
	out, err := rawvalue.SkimDataValue(s.cut, rawvalue.Limits{})
	return out, err == nil
}

func (it *item) push(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.part != nil {
		dv, _ = rawvalue.SkimDataValue(bytes.Clone(dv.Raw), rawvalue.Limits{}) // it was skimmed by cut
	}
	it.last, it.taken = dv, now
	it.enqueue(e, entry{raw: dv.Raw})
}

// enqueue queues an entry; one that finds the queue full takes another's place, and
// tells of it (OPC 10000-4 §5.13.1.5).
func (it *item) enqueue(e *Engine, n entry) {
	full := len(it.queue) >= it.size || len(it.queue) > 0 && e.queued.Load() >= e.cfg.Limits.Queued
	if !full {
		e.queued.Add(n.cost())
		it.queue = append(it.queue, n)
	} else {
		e.dropped.Add(1)
		it.squeeze(e, n)
	}
	it.list()
	if it.mode == ua.MonitoringModeDisabled {
		return
	}
	for _, other := range it.triggers {
		if !other.gone && other.mode == ua.MonitoringModeSampling && len(other.queue) > 0 {
			other.triggered = true
			other.list()
		}
	}
}

// squeeze puts an entry into a full queue. Of events that are lost another event tells,
// in the place of the first.
func (it *item) squeeze(e *Engine, n entry) {
	last := len(it.queue) - 1
	lost := entry{raw: it.overflow, fields: n.fields}
	switch {
	case it.events && last > 0 && it.discardOldest:
		it.replace(e, 1, last, n)
		it.set(e, 0, lost)
	case it.events && last > 0:
		it.set(e, last, lost)
	case it.discardOldest || it.events:
		it.replace(e, 0, last, n)
		it.queue[0].overflow = it.size > 1
	default:
		n.overflow = it.size > 1
		it.set(e, last, n)
	}
}

// replace takes the entry at first out and appends n.
func (it *item) replace(e *Engine, first, last int, n entry) {
	e.queued.Add(n.cost() - it.queue[first].cost())
	copy(it.queue[first:], it.queue[first+1:])
	it.queue[last] = n
}

func (it *item) set(e *Engine, i int, n entry) {
	e.queued.Add(n.cost() - it.queue[i].cost())
	it.queue[i] = n
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
	if it.newest != nil && now-it.taken >= int64(it.sampling) {
		dv, _ := rawvalue.SkimDataValue(it.newest, rawvalue.Limits{}) // it was skimmed when it came
		it.offer(e, dv, now)
	}
	return it.newest == nil
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
	if it.pushed {
		if raw := e.cfg.Nodes.Shared(&it.sub.client, it.node); raw != nil {
			return raw
		}
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
		it.enqueue(e, entry{raw: it.select_.AppendFields(nil, ev, v), fields: uint32(it.select_.Len())})
	}
}

// clear empties the queue, as when monitoring is disabled or the item goes.
func (it *item) clear(e *Engine) {
	for i := range it.queue {
		e.queued.Add(-it.queue[i].cost())
	}
	it.queue, it.newest, it.triggered = nil, nil, false
}

// leave takes items out of everything that feeds them. The engine's lock is held.
func (e *Engine) leave(items []*item) {
	nodes := map[*index]map[rawvalue.NodeID]bool{}
	for _, it := range items {
		it.sub.mu.Lock()
		it.gone = true
		it.clear(e)
		delete(it.sub.items, it.id)
		it.sub.mu.Unlock()
		e.items.Add(-1)
		e.filters.Add(-it.weight)
		x := e.feeds(it)
		if x == nil {
			e.sampled.remove(it)
			continue
		}
		if nodes[x] == nil {
			nodes[x] = map[rawvalue.NodeID]bool{}
		}
		nodes[x][it.node] = true
	}
	for x, list := range nodes {
		for node := range list {
			x.sweep(node)
		}
	}
}

// feeds returns the index that an item is found in, nil if it is sampled.
func (e *Engine) feeds(it *item) *index {
	switch {
	case it.events:
		return &e.heed
	case it.pushed:
		return e.shard(it.node)
	}
	return nil
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
