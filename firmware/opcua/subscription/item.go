package subscription

import (
	"bytes"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// item is a MonitoredItem. The first block never changes, the rest is guarded by its
// subscription's lock.
type item struct {
	sub        *subscription
	id         uint32
	attribute  ua.AttributeID
	node       rawvalue.NodeID
	indexRange *rawvalue.Range // nil: the complete value
	sample     *sample         // nil unless the item is sampled
	pushed     bool
	events     bool

	discardOldest    bool
	ready            bool // listed in its subscription's ready
	wasTriggered     bool
	deleted          bool
	handle           uint32
	mode             ua.MonitoringMode
	timestamps       ua.TimestampsToReturn
	queueSize        int
	samplingInterval time.Duration // 0: every change
	filter           rawvalue.Filter
	selection        *eventSelection // of event items

	queue     []entry
	lastValue rawvalue.Trace // of the value queued last
	lastTime  int64          // when it was queued, see Engine.now
	lateValue []byte         // arrived before the sampling interval ended
	triggered []*item        // items that this one triggers

	overflowed      bool // an EventQueueOverflowEvent is queued
	refreshRequired bool // a RefreshRequiredEvent is to follow
}

// eventSelection is the event filter of an item.
type eventSelection struct {
	filter   *event.Filter
	overflow []byte // fields of an EventQueueOverflowEvent
	size     int64  // bytes
}

// itemCost is the memory of an item, bytes: itself, its entries in maps, and a queue entry.
const itemCost = 432

// bytes is the memory of a filter; data items have none.
func (c *eventSelection) bytes() int64 {
	if c == nil {
		return 0
	}
	return c.size
}

// cost is the memory of an item beside its values, bytes.
func (it *item) cost() int64 {
	return int64(itemCost+linkCost*len(it.triggered)) + it.selection.bytes()
}

// offerValue queues a new value that passes the filter. Of values that arrive within a
// sampling interval the newest is kept until the interval ends.
func (it *item) offerValue(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.deleted || it.mode == ua.MonitoringModeDisabled || it.events {
		return
	}
	if it.samplingInterval > 0 && it.lastValue.Known() && now-it.lastTime < int64(it.samplingInterval) {
		if it.lateValue == nil {
			it.sub.lateItems = append(it.sub.lateItems, it)
			it.sub.hasLateItems.Store(true)
		}
		it.lateValue = dv.Raw
		return
	}
	it.lateValue = nil
	it.filterValue(e, dv, now, false)
}

// filterValue queues a value, or its part in the index range, that passes the filter; with always,
// any value.
func (it *item) filterValue(e *Engine, dv rawvalue.DataValue, now int64, always bool) {
	if it.indexRange != nil && !dv.Value.IsNull() {
		b := e.parts.get()
		defer e.parts.put(b)
		var err error
		if dv, err = b.cut(dv, it.indexRange); err != nil {
			return
		}
	}
	if always || !it.lastValue.Known() || it.filter.Changed(&it.lastValue, dv) {
		it.queueValue(e, dv, now)
	}
}

// partBuffers are those that are not used, shared by all items: one of each subscription would keep
// up to 8 MiB that no limit counts.
type partBuffers chan *partBuffer

// Our own choices: how many are kept, and of what size each.
const (
	keptParts   = 4
	maxKeptPart = 1 << 20
)

func (p partBuffers) get() *partBuffer {
	select {
	case b := <-p:
		return b
	default:
		return new(partBuffer)
	}
}

func (p partBuffers) put(b *partBuffer) {
	if max(cap(b.part), cap(b.value)) > maxKeptPart {
		return
	}
	select {
	case p <- b:
	default:
	}
}

// partBuffer holds a part of a value until it is queued.
type partBuffer struct{ part, value []byte }

// cut applies an index range. A value without data in it becomes a bad status. The result is valid
// until the buffer is used again.
func (b *partBuffer) cut(dv rawvalue.DataValue, r *rawvalue.Range) (rawvalue.DataValue, error) {
	answer := rawvalue.Answer{Timestamps: ua.TimestampsToReturnBoth}
	var err error
	if b.part, err = r.Append(b.part[:0], dv.Value); err != nil {
		b.value = rawvalue.AppendStatus(b.value[:0], ua.StatusBadIndexRangeNoData, answer)
	} else {
		b.value = dv.AppendWith(b.value[:0], answer, b.part)
	}
	return rawvalue.SkimDataValue(b.value, rawvalue.Limits{})
}

func (it *item) queueValue(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.indexRange != nil {
		dv, _ = rawvalue.SkimDataValue(bytes.Clone(dv.Raw), rawvalue.Limits{}) // cut has checked it
	}
	it.setLastValue(e, it.filter.Trace(dv))
	it.lastTime = now
	it.enqueue(e, entry{raw: dv.Raw})
}

// setLastValue sets what the next value is compared with. A value for which there is no room
// is not kept: the next one is reported then, however small the change.
func (it *item) setLastValue(e *Engine, t rawvalue.Trace) {
	if old := it.lastValue.Value(); len(old) > guaranteedSize {
		e.releaseValue(it.sub, old)
	}
	if now := t.Value(); len(now) > guaranteedSize && !e.holdValue(it.sub, now, false) {
		t.Forget()
	}
	it.lastValue = t
}

// offerLateValue queues the late value if the sampling interval has ended, and reports
// whether none is left.
func (it *item) offerLateValue(e *Engine, now int64) bool {
	if it.lateValue != nil && now-it.lastTime >= int64(it.samplingInterval) {
		dv, _ := rawvalue.SkimDataValue(it.lateValue, rawvalue.Limits{}) // Changed has checked it
		it.offerValue(e, dv, now)
	}
	return it.lateValue == nil
}

// readSample samples the item, and returns the size of what it read. The engine's lock is held.
func (it *item) readSample(e *Engine) int {
	raw := it.readValue(e)
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		return len(raw)
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if !it.deleted && it.mode != ua.MonitoringModeDisabled {
		it.filterValue(e, dv, e.now.Load(), false)
	}
	return len(raw)
}

// readValue reads what the item monitors. No lock but the engine's may be held: the server
// locks its address space, and a holder of that lock may wait for a subscription's.
func (it *item) readValue(e *Engine) []byte {
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

// offerInitialValue queues the first value of an item, unless a change came before it; with
// again, the value of an item that reports, unless one is queued.
func (it *item) offerInitialValue(e *Engine, raw []byte, again bool) {
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || it.events {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	switch {
	case it.deleted || it.mode == ua.MonitoringModeDisabled:
		return
	case !again && it.lastValue.Known(), again &&
		(it.mode != ua.MonitoringModeReporting || !it.lastValue.Known() || len(it.queue) > 0):
		return
	}
	it.filterValue(e, dv, e.now.Load(), true)
}

// occasion is why an event is offered to an item.
type occasion uint8

const (
	happened occasion = iota
	repeated          // by a refresh
	protocol          // it is about the subscription, and passes every filter
)

// offerEvent queues an event that passes the filter.
func (it *item) offerEvent(e *Engine, ev *event.Event, v addrspace.View, why occasion) {
	if it.deleted || it.mode == ua.MonitoringModeDisabled || it.selection == nil {
		return
	}
	if why == protocol || it.selection.filter.Match(ev, v) {
		it.enqueue(e, entry{raw: it.selection.filter.AppendFields(nil, ev, v),
			fields:    uint32(it.selection.filter.Len()),
			condition: why == happened && ev.Condition != rawvalue.NodeID{}})
	}
}

// removeItems deletes items from subscriptions and indexes. The engine's lock is held.
func (e *Engine) removeItems(items []*item) {
	nodes := map[*index]map[rawvalue.NodeID]bool{}
	linked := map[*subscription]bool{}
	for _, it := range items {
		s := it.sub
		s.mu.Lock()
		it.deleted = true
		if it.mode == ua.MonitoringModeDisabled {
			s.tally.disabledItems--
		}
		it.clearValues(e)
		delete(s.items, it.id)
		s.account.add(-it.cost())
		linked[s] = s.hasLinks
		s.mu.Unlock()
		e.items.Add(-1)
		if it.events {
			s.events--
		}
		if it.sample != nil {
			s.sampled--
			e.samples.remove(it.sample)
		}
		x := e.indexOf(it)
		if nodes[x] == nil {
			nodes[x] = map[rawvalue.NodeID]bool{}
		}
		nodes[x][it.node] = true
	}
	for x, list := range nodes {
		for node := range list {
			x.removeDeleted(node)
		}
	}
	for s, some := range linked {
		if some {
			s.removeDeadLinks()
		}
	}
}

// isSampled reports whether the item is read at each sampling interval.
func (it *item) isSampled() bool { return !it.events && !it.pushed }

// indexOf returns the index that lists an item.
func (e *Engine) indexOf(it *item) *index {
	switch {
	case it.events:
		return &e.eventIndex
	case it.pushed:
		return e.shard(it.node)
	}
	return &e.sampled
}

// reportsAt reports whether the item's node is a notifier of an event.
func (it *item) reportsAt(ev *event.Event) bool { return slices.Contains(ev.Notifiers, it.node) }
