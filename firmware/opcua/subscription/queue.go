package subscription

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// entry is what waits for a message: a DataValue, or the fields of an event.
type entry struct {
	raw      []byte
	fields   uint32 // of an event
	overflow bool
}

// enqueue queues an entry; one that finds the queue full takes another's place, and
// tells of it (OPC 10000-4 §5.13.1.5).
func (it *item) enqueue(e *Engine, n entry) {
	switch {
	case len(it.queue) == 0:
		it.queue = append(it.queue, it.fit(e, n))
	case len(it.queue) < it.size && e.hold(it.sub, n.raw, false):
		it.queue = append(it.queue, n)
	default:
		e.dropped.Add(1)
		it.sub.tally.overflow(it.events)
		it.squeeze(e, n)
	}
	it.list()
	if it.mode == ua.MonitoringModeDisabled {
		return
	}
	for _, other := range it.links {
		if !other.gone && other.mode == ua.MonitoringModeSampling && len(other.queue) > 0 {
			other.triggered = true
			other.list()
		}
	}
}

// squeeze puts an entry into a queue that has no room for it. Of events that are lost
// another event tells, in the place of the first.
func (it *item) squeeze(e *Engine, n entry) {
	last := len(it.queue) - 1
	switch {
	case it.events && last > 0 && it.discardOldest:
		it.replace(e, 1, n)
		it.set(e, 0, it.lost(n))
	case it.events && last > 0:
		it.set(e, last, it.lost(n))
	case it.discardOldest || it.events:
		it.replace(e, 0, n)
		it.queue[0].overflow = it.size > 1
	default:
		n.overflow = it.size > 1
		it.set(e, last, n)
	}
}

// lost is the entry that tells of events that are.
func (it *item) lost(n entry) entry { return entry{raw: it.choice.overflow, fields: n.fields} }

// replace takes the entry at first, 0 or 1, out and appends n. A short queue is moved up in
// its place, a long one moves on in its memory: it is not copied for each value that finds
// it full.
func (it *item) replace(e *Engine, first int, n entry) {
	const short = 64
	e.letGo(it.sub, it.queue[first].raw)
	if len(it.queue) <= short {
		copy(it.queue[first:], it.queue[first+1:])
		it.queue[len(it.queue)-1] = it.fit(e, n)
		return
	}
	if first > 0 {
		it.queue[1] = it.queue[0]
	}
	it.queue[0] = entry{}
	it.queue = append(it.queue[1:], it.fit(e, n))
}

func (it *item) set(e *Engine, i int, n entry) {
	e.letGo(it.sub, it.queue[i].raw)
	it.queue[i] = it.fit(e, n)
}

// noMemory is what a client reads in the place of a value that is too large for now.
var noMemory = rawvalue.AppendStatus(nil, ua.StatusBadOutOfMemory, rawvalue.Answer{})

// fit counts an entry that takes another's place, or is the only one: if there is no
// room for it even so, what says so. A small value finds room always.
func (it *item) fit(e *Engine, n entry) entry {
	if e.hold(it.sub, n.raw, false) {
		return n
	}
	switch {
	case it.events:
		e.dropped.Add(1)
		n = it.lost(n)
	case len(n.raw) > spared:
		e.dropped.Add(1)
		n.raw = noMemory
	}
	e.hold(it.sub, n.raw, true)
	return n
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

// clear forgets all values, as when monitoring is disabled or the item goes.
func (it *item) clear(e *Engine) {
	for i := range it.queue {
		e.letGo(it.sub, it.queue[i].raw)
	}
	it.remember(e, rawvalue.Trace{})
	it.queue, it.newest, it.triggered = nil, nil, false
}
