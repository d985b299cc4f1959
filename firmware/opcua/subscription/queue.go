package subscription

import (
	"slices"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// entry is a queued notification: a DataValue, or the fields of an event.
type entry struct {
	raw       []byte
	fields    uint32 // of an event
	overflow  bool   // a value with the Overflow bit, or an EventQueueOverflowEvent
	condition bool   // an event that changed the state of a condition
}

// enqueue queues an entry, and the items that it triggers.
func (it *item) enqueue(e *Engine, n entry) {
	if it.events {
		it.enqueueEvent(e, n)
	} else {
		it.enqueueValue(e, n)
	}
	it.markReady()
	if it.mode == ua.MonitoringModeDisabled {
		return
	}
	for _, other := range it.triggered {
		if !other.deleted && other.mode == ua.MonitoringModeSampling && len(other.queue) > 0 {
			other.wasTriggered = true
			other.markReady()
		}
	}
}

// enqueueValue queues a value; if the queue is full it replaces another one, and the overflow is
// marked (OPC 10000-4 §5.13.1.5).
func (it *item) enqueueValue(e *Engine, n entry) {
	switch {
	case len(it.queue) == 0:
		it.queue = append(it.queue, it.holdEntry(e, n))
		return
	case len(it.queue) < it.queueSize && e.holdValue(it.sub, n.raw, false):
		it.queue = append(it.queue, n)
		return
	}
	e.dropped.Add(1)
	it.sub.tally.countOverflow(false)
	if it.discardOldest {
		it.removeEntry(e, 0)
		it.queue = append(it.queue, it.holdEntry(e, n))
		it.queue[0].overflow = it.queueSize > 1
		return
	}
	n.overflow = it.queueSize > 1
	it.replaceEntry(e, len(it.queue)-1, n)
}

// enqueueEvent queues an event; if the queue is full the oldest or this one is discarded.
func (it *item) enqueueEvent(e *Engine, n entry) {
	if it.eventCount() < it.queueSize && e.holdValue(it.sub, n.raw, false) {
		it.queue = append(it.queue, n)
		return
	}
	if it.discardOldest && it.eventCount() > 0 {
		it.discardEvent(e)
		if e.holdValue(it.sub, n.raw, false) {
			it.queue = append(it.queue, n)
			return
		}
	}
	it.lostEvent(e, n)
}

// eventCount returns how many events are queued, but for the one that reports an overflow.
func (it *item) eventCount() int {
	if it.overflowed {
		return len(it.queue) - 1
	}
	return len(it.queue)
}

// discardEvent discards the oldest or the newest event of a queue that has one.
func (it *item) discardEvent(e *Engine) {
	at := 0
	if !it.discardOldest {
		at = len(it.queue) - 1
	}
	if it.queue[at].overflow && it.discardOldest {
		at++
	} else if it.queue[at].overflow {
		at--
	}
	n := it.queue[at]
	it.removeEntry(e, at)
	it.lostEvent(e, n)
}

// lostEvent reports that an event was discarded by an EventQueueOverflowEvent, one in a queue, in
// addition to its size: at its beginning, or at its end if new events are discarded (OPC 10000-4
// §5.13.1.5). Where a state of a condition was lost, a RefreshRequiredEvent follows.
func (it *item) lostEvent(e *Engine, n entry) {
	e.dropped.Add(1)
	it.sub.tally.countOverflow(true)
	if n.condition && !it.refreshRequired {
		it.refreshRequired = true
		it.sub.refreshRequired = append(it.sub.refreshRequired, it)
		it.sub.refreshIsRequired.Store(true)
	}
	if it.overflowed {
		return
	}
	it.overflowed = true
	report := entry{raw: it.selection.overflow, fields: uint32(it.selection.filter.Len()), overflow: true}
	e.holdValue(it.sub, report.raw, true)
	if it.discardOldest {
		it.queue = slices.Insert(it.queue, 0, report)
	} else {
		it.queue = append(it.queue, report)
	}
}

// removeEntry removes the entry at i. The entries of a short queue are moved; a long one is resliced,
// so that it is not copied for each value.
func (it *item) removeEntry(e *Engine, i int) {
	const short = 64
	e.releaseValue(it.sub, it.queue[i].raw)
	if len(it.queue) <= short || i > 1 {
		it.queue = slices.Delete(it.queue, i, i+1)
		return
	}
	if i > 0 {
		it.queue[1] = it.queue[0]
	}
	it.queue[0] = entry{}
	it.queue = it.queue[1:]
}

func (it *item) replaceEntry(e *Engine, i int, n entry) {
	e.releaseValue(it.sub, it.queue[i].raw)
	it.queue[i] = it.holdEntry(e, n)
}

// outOfMemory replaces a value for which there is no room.
var outOfMemory = rawvalue.AppendStatus(nil, ua.StatusBadOutOfMemory, rawvalue.Answer{})

// holdEntry counts a value that is the only one, or replaces another. If there is no room, a
// bad status takes its place; a small value is always held.
func (it *item) holdEntry(e *Engine, n entry) entry {
	if e.holdValue(it.sub, n.raw, false) {
		return n
	}
	if len(n.raw) > guaranteedSize {
		e.dropped.Add(1)
		n.raw = outOfMemory
	}
	e.holdValue(it.sub, n.raw, true)
	return n
}

// shorten discards what is beyond the size of the queue, which was changed.
func (it *item) shorten(e *Engine) {
	for it.events && it.eventCount() > it.queueSize {
		it.discardEvent(e)
	}
	if n := len(it.queue) - it.queueSize; n > 0 && !it.events {
		for i := range it.queue[:n] {
			e.releaseValue(it.sub, it.queue[i].raw)
		}
		e.dropped.Add(uint64(n))
		it.queue = append([]entry(nil), it.queue[n:]...)
		it.queue[0].overflow = it.queueSize > 1
	}
}

// reports reports whether the queue goes into the next message.
func (it *item) reports() bool {
	return len(it.queue) > 0 &&
		(it.mode == ua.MonitoringModeReporting || it.mode == ua.MonitoringModeSampling && it.wasTriggered)
}

func (it *item) markReady() {
	if !it.ready && it.reports() {
		it.ready = true
		it.sub.ready = append(it.sub.ready, it)
	}
}

// clearValues drops all values, when monitoring is disabled or the item deleted.
func (it *item) clearValues(e *Engine) {
	for i := range it.queue {
		e.releaseValue(it.sub, it.queue[i].raw)
	}
	it.setLastValue(e, rawvalue.Trace{})
	it.queue, it.lateValue, it.wasTriggered = nil, nil, false
	it.overflowed, it.refreshRequired = false, false
}
