package subscription

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// entry is a queued notification: a DataValue, or the fields of an event.
type entry struct {
	raw      []byte
	fields   uint32 // of an event
	overflow bool
}

// enqueue queues an entry; if the queue is full it replaces another one, and the overflow is
// marked (OPC 10000-4 §5.13.1.5).
func (it *item) enqueue(e *Engine, n entry) {
	switch {
	case len(it.queue) == 0:
		it.queue = append(it.queue, it.holdEntry(e, n))
	case len(it.queue) < it.queueSize && e.holdValue(it.sub, n.raw, false):
		it.queue = append(it.queue, n)
	default:
		e.dropped.Add(1)
		it.sub.tally.countOverflow(it.events)
		it.enqueueOverflow(e, n)
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

// enqueueOverflow queues an entry in a full queue. Lost events are reported by an
// EventQueueOverflowEvent at the end where they were dropped.
func (it *item) enqueueOverflow(e *Engine, n entry) {
	last := len(it.queue) - 1
	switch {
	case it.events && last > 0 && it.discardOldest:
		it.shiftQueue(e, 1, n)
		it.replaceEntry(e, 0, it.overflowEvent(n))
	case it.events && last > 0:
		it.replaceEntry(e, last, it.overflowEvent(n))
	case it.discardOldest || it.events:
		it.shiftQueue(e, 0, n)
		it.queue[0].overflow = it.queueSize > 1
	default:
		n.overflow = it.queueSize > 1
		it.replaceEntry(e, last, n)
	}
}

// overflowEvent returns the entry of an EventQueueOverflowEvent.
func (it *item) overflowEvent(n entry) entry {
	return entry{raw: it.selection.overflow, fields: n.fields}
}

// shiftQueue removes the entry at first, 0 or 1, and appends n. The entries of a short queue
// are moved; a long one is resliced, so that it is not copied for each value.
func (it *item) shiftQueue(e *Engine, first int, n entry) {
	const short = 64
	e.releaseValue(it.sub, it.queue[first].raw)
	if len(it.queue) <= short {
		copy(it.queue[first:], it.queue[first+1:])
		it.queue[len(it.queue)-1] = it.holdEntry(e, n)
		return
	}
	if first > 0 {
		it.queue[1] = it.queue[0]
	}
	it.queue[0] = entry{}
	it.queue = append(it.queue[1:], it.holdEntry(e, n))
}

func (it *item) replaceEntry(e *Engine, i int, n entry) {
	e.releaseValue(it.sub, it.queue[i].raw)
	it.queue[i] = it.holdEntry(e, n)
}

// outOfMemory replaces a value for which there is no room.
var outOfMemory = rawvalue.AppendStatus(nil, ua.StatusBadOutOfMemory, rawvalue.Answer{})

// holdEntry counts an entry that is the only one, or replaces another. If there is no room, a
// bad status or the overflow event takes its place; a small value is always held.
func (it *item) holdEntry(e *Engine, n entry) entry {
	if e.holdValue(it.sub, n.raw, false) {
		return n
	}
	switch {
	case it.events:
		e.dropped.Add(1)
		n = it.overflowEvent(n)
	case len(n.raw) > guaranteedSize:
		e.dropped.Add(1)
		n.raw = outOfMemory
	}
	e.holdValue(it.sub, n.raw, true)
	return n
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
}
