package opcua

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// eventHandler handles one subscription for events.
type eventHandler struct {
	*events
	table   *event.Table
	layout  *layout
	joints  sync.Mutex
	joining []*joint // the oldest first
	waiting int      // bytes of them
	ended   bool
}

// Data implements client.Handler; there are no values in these subscriptions.
func (l *eventHandler) Data(uint32, rawvalue.DataValue) {}

// Status implements client.Handler. It ends the session; in the next one all conditions
// are refreshed.
func (l *eventHandler) Status(code ua.StatusCode) {
	l.log.Warn("event subscription status changed", "status", code)
	signal(l.gone)
}

// Lost implements client.Handler.
func (l *eventHandler) Lost(messages int) {
	l.stats.LostNotifications.Add(uint64(messages))
	l.log.Warn("event notifications lost; refreshing conditions", "messages", messages)
	l.miss(messages)
}

// Fault implements client.Handler.
func (l *eventHandler) Fault(handle uint32, behind int, err error) {
	l.stats.UnreadableEvents.Add(uint64(1 + behind))
	l.log.Warn("event not decodable; refreshing conditions", "error", err, "behind", behind)
	l.miss(1 + behind)
}

// lostEvents is what is counted of events that do not come here.
const lostEvents = "or more events that the server lost, or that are not decodable"

// miss has conditions refreshed, the address space browsed, and the server's history read: of
// that many events it is known that they were lost, and they count as missed unless it brings
// them.
func (l *eventHandler) miss(events int) {
	l.abandonRefresh()
	l.changeLater()
	if l.book.MissEvents(time.Now()) {
		l.lost.Add(uint64(events))
	} else {
		l.port.Missed(uint64(events), lostEvents)
	}
	signal(l.refresh)
}

// overflowed handles the server's word that its queue for a notifier was full.
func (l *eventHandler) overflowed() {
	if n := l.stats.EventOverflows.Add(1); n&(n-1) == 0 {
		l.log.Warn("the server dropped events, its queue was full; refreshing conditions", "total", n)
	}
	l.miss(1)
}

// Events implements client.Handler.
func (l *eventHandler) Events(handle uint32, fields [][]byte) {
	if len(fields) != len(l.layout.groups[int(handle)%len(l.layout.groups)]) {
		l.undecodable(fields, errors.New("wrong number of fields"))
		return
	}
	l.joints.Lock()
	defer l.joints.Unlock()
	if l.ended {
		return
	}
	waited := len(l.joining) > 0
	l.handOver(append(l.overdue(time.Now()), l.join(handle, fields, time.Now())...))
	if !waited && len(l.joining) > 0 {
		time.AfterFunc(joinWithin, l.handOverOverdue)
	}
}

// handOverOverdue hands over events of which parts have not come in time.
func (l *eventHandler) handOverOverdue() {
	l.joints.Lock()
	defer l.joints.Unlock()
	l.handOver(l.overdue(time.Now()))
	if len(l.joining) > 0 {
		time.AfterFunc(time.Until(l.joining[0].since.Add(joinWithin)), l.handOverOverdue)
	}
}

// handOverAll hands over all events, also those of which parts have not come. Those that come from
// then on do not cross.
func (l *eventHandler) handOverAll() {
	l.joints.Lock()
	defer l.joints.Unlock()
	list := l.joining
	l.joining, l.waiting, l.ended = nil, 0, true
	l.handOver(list)
}

// handOver is called with joints held.
func (l *eventHandler) handOver(list []*joint) {
	for _, j := range list {
		if j.missing > 0 {
			l.unreadable(errors.New("the server did not send all fields"))
		}
		l.event(j.notifier, j.values)
	}
}

func (e *events) unreadable(err error) {
	if n := e.stats.UnreadableEvents.Add(1); n&(n-1) == 0 {
		e.log.Warn("event incomplete or not decodable", "error", err, "total", n)
	}
}

// undecodable counts an event as missed, once for all notifiers that report it and for the
// history that has it.
func (e *events) undecodable(fields [][]byte, err error) {
	if e.recent.add(slices.Concat(fields...)) {
		e.port.Missed(1, lostEvents)
		e.unreadable(err)
	}
}

// event handles an event of a notifier.
func (l *eventHandler) event(notifier int, values [][]byte) {
	l.identify(values)
	ev, err := event.FromFields(l.table, values)
	if err != nil {
		l.undecodable(values, err)
		return
	}
	if l.internal(ev, notifier) || !l.crosses(ev) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.merge(ev, l.notifiers[notifier])
}

// identify gives an event without an EventId one of its own, the same for all notifiers
// that report it: the mirror's clients identify events by it.
func (l *eventHandler) identify(values [][]byte) {
	// null or empty
	if at := l.layout.eventID; at >= 0 && (len(values[at]) == 1 || len(values[at]) == 5 &&
		values[at][0] == byte(ua.TypeIDByteString)) {
		h := sha256.New()
		for _, v := range values {
			_, _ = h.Write(v) // never fails
		}
		const size = 16
		values[at] = append(binary.LittleEndian.AppendUint32([]byte{byte(ua.TypeIDByteString)}, size),
			h.Sum(nil)[:size]...)
	}
}

// aboutSession returns the type of an event that is about the session and not about the
// plant, 0 for others.
func (l *eventHandler) aboutSession(ev *event.Event) (kind uint32) {
	l.space.View(func(v addrspace.View) {
		if v.IsSubtype(ev.Type, rawvalue.NodeID{Number: id.BaseModelChangeEventType}) {
			kind = id.BaseModelChangeEventType
		} else if ev.Type.Namespace == 0 {
			kind = ev.Type.Number
		}
	})
	switch kind {
	case id.BaseModelChangeEventType, id.RefreshStartEventType, id.RefreshEndEventType, id.RefreshRequiredEventType,
		id.EventQueueOverflowEventType:
		return kind
	}
	return 0
}

// internal handles the events that are about the session, and reports whether this is one.
func (l *eventHandler) internal(ev *event.Event, notifier int) bool {
	switch l.aboutSession(ev) {
	case id.BaseModelChangeEventType: // the mirror reports the changes that cross itself
		l.change()
	case id.RefreshStartEventType:
		l.mu.Lock()
		l.beginRefresh(l.notifiers[notifier])
		l.mu.Unlock()
	case id.RefreshEndEventType:
		l.mu.Lock()
		l.endRefresh(l.notifiers[notifier], l.table)
		l.mu.Unlock()
	case id.EventQueueOverflowEventType:
		l.overflowed()
	case id.RefreshRequiredEventType:
		signal(l.refresh)
	default:
		return false
	}
	return true
}

// crosses reports whether an event's source crosses.
func (e *events) crosses(ev *event.Event) (ok bool) {
	if e.all {
		return true
	}
	e.space.View(func(v addrspace.View) { _, ok = v.Lookup(ev.Source) })
	return ok
}

// eventIdentity is what every notifier reports alike of an event.
func eventIdentity(ev *event.Event) []byte {
	return ev.Source.AppendTo(ev.Type.AppendTo(binary.LittleEndian.AppendUint64(slices.Clone(ev.ID),
		uint64(ev.Time))))
}

// merge holds an event back for as long as other notifiers may still report it. They
// report the same one with the same EventId, type, source and time; what one notifier
// reports again was raised again, even under the same EventId.
func (e *events) merge(ev *event.Event, notifier rawvalue.NodeID) {
	ev.Notifiers = append(ev.Notifiers, notifier)
	refreshed := e.refreshed(ev, notifier)
	if len(e.notifiers) == 1 {
		e.putEvent(ev, refreshed)
		return
	}
	size := 0
	for _, v := range ev.Values {
		size += len(v)
	}
	base := string(eventIdentity(ev))
	if refreshed { // what was reported as an event before is another record
		base += "refreshed"
	}
	name := base
	for n := 0; ; n++ {
		name = base + string(rune(n))
		first := e.merging[name]
		if first.Event == nil && n < maxAlike && len(e.merging) < maxMerging && e.held+size <= maxHeld {
			break
		}
		if first.Event != nil && !slices.Contains(first.Notifiers, notifier) {
			first.Notifiers = append(first.Notifiers, notifier)
			return
		}
		if first.Event == nil { // no room: what is held goes first, so that the order stays
			e.flush()
			name = base + string(rune(0))
			break
		}
	}
	e.held += size
	e.merging[name] = heldEvent{ev, refreshed}
	if e.order = append(e.order, name); len(e.order) == 1 {
		time.AfterFunc(2*e.interval, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.flush()
		})
	}
}

// flush sends what is held back.
func (e *events) flush() {
	for _, name := range e.order {
		e.putEvent(e.merging[name].Event, e.merging[name].refreshed)
	}
	e.order, e.held = e.order[:0], 0
	clear(e.merging)
}

// putProbing puts an update that says when it has left, if that is to be known now and there
// is room for one that must not be dropped.
func (e *events) putProbing(u source.Update) error {
	if u.Left = e.book.Probe(time.Now()); u.Left != nil {
		err := e.port.Put(u)
		if err == nil {
			return nil
		}
		e.book.NoProbe()
		if u.Left = nil; !errors.Is(err, source.ErrFull) {
			return err
		}
	}
	return e.port.Put(u)
}

// largeField is what a field of an event may have, in bytes, where the whole event
// is more than the link carries.
const largeField = 16 << 10

// hand puts an update of an event into the port. One that is too large crosses without
// its large fields, with a status instead (OPC 10000-4 §7.21.3). If that is refused too,
// the state of its condition is deleted: the one before it must not stay.
func (e *events) hand(u source.Update, ev *event.Event) {
	err := e.putProbing(u)
	if !refused(err) {
		return
	}
	if errors.Is(err, source.ErrTooLarge) {
		small := *ev
		small.Values = slices.Clone(ev.Values)
		for i, raw := range small.Values {
			// without its EventId it is not an event
			if len(raw) > largeField && !bytes.HasSuffix(raw, ev.ID) {
				small.Values[i] = binary.LittleEndian.AppendUint32([]byte{byte(ua.TypeIDStatusCode)},
					uint32(ua.StatusBadEncodingLimitsExceeded))
			}
		}
		u.Payload = payload.AppendEvent(nil, e.generation, small.Append(nil))
		if err = e.port.Put(u); !refused(err) {
			e.stats.ReducedEvents.Add(1)
			e.log.Warn("event too large for the link; sent without its large fields", "source",
				ev.Source.UA())
			return
		}
	}
	if n := e.stats.RefusedEvents.Add(1); n&(n-1) == 0 {
		e.log.Error("the link refused an event", "error", err, "source", ev.Source.UA(), "total", n)
	}
	if u.Key != nil {
		delete(e.known, string(u.Key))
		_ = e.port.Put(source.Update{Key: u.Key, Delete: true}) // refused only after the link was closed
	}
}
