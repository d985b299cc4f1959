package opcua

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	payload "heliograph/firmware/payload/opcua"
	"heliograph/firmware/tx/source"
)

// listener hands on what one subscription brings.
type listener struct {
	*events
	table *event.Table
}

// Data implements client.Handler; there are no values in these subscriptions.
func (l *listener) Data(uint32, rawvalue.DataValue) {}

// Status implements client.Handler: with the subscription its conditions are lost.
func (l *listener) Status(code ua.StatusCode) {
	l.log.Warn("the server reports on the subscription for events", "status", code)
}

// Lost implements client.Handler.
func (l *listener) Lost(messages int) {
	l.stats.LostNotifications.Add(uint64(messages))
	l.port.Conflated(uint64(messages))
	l.log.Warn("the server did not send some events again", "messages", messages)
	signal(l.refresh)
}

// Fault implements client.Handler.
func (l *listener) Fault(handle uint32, behind int, err error) {
	l.stats.UnreadableEvents.Add(uint64(1 + behind))
	l.port.Conflated(uint64(1 + behind))
	l.log.Warn("an event cannot be read", "behind it", behind, "error", err)
	signal(l.refresh)
}

// Events implements client.Handler.
func (l *listener) Events(handle uint32, fields [][]byte) {
	values := make([][]byte, len(fields))
	for i, f := range fields {
		values[i] = slices.Clone(f)
	}
	ev, err := event.FromFields(l.table, values)
	if err != nil {
		l.stats.UnreadableEvents.Add(1)
		l.port.Conflated(1)
		if l.faults++; l.faults&(l.faults-1) == 0 {
			l.log.Warn("an event makes no sense", "error", err, "so far", l.faults)
		}
		return
	}
	if l.internal(ev) || !l.crosses(ev) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.merge(ev, l.notifiers[handle])
}

// internal takes the events that are about the session and not about the plant.
func (e *events) internal(ev *event.Event) bool {
	kind := uint32(0)
	e.space.View(func(v addrspace.View) {
		if v.IsSubtype(ev.Type, rawvalue.NodeID{Number: id.BaseModelChangeEventType}) {
			kind = id.BaseModelChangeEventType
		} else if ev.Type.Namespace == 0 {
			kind = ev.Type.Number
		}
	})
	switch kind {
	case id.BaseModelChangeEventType: // the mirror tells of the changes that cross itself
		e.change()
	case id.RefreshStartEventType:
		e.mu.Lock()
		e.flush()
		e.refreshing = map[string]bool{}
		e.mu.Unlock()
	case id.RefreshEndEventType:
		e.mu.Lock()
		e.flush()
		e.sweep()
		e.mu.Unlock()
	case id.RefreshRequiredEventType, id.EventQueueOverflowEventType:
		signal(e.refresh)
	default:
		return false
	}
	return true
}

// crosses keeps events of nodes that do not cross from the link.
func (e *events) crosses(ev *event.Event) (ok bool) {
	if e.all {
		return true
	}
	e.space.View(func(v addrspace.View) { _, ok = v.Lookup(ev.Source) })
	return ok
}

// merge holds an event back for as long as other notifiers may still report it.
func (e *events) merge(ev *event.Event, notifier rawvalue.NodeID) {
	name := string(ev.ID)
	if first := e.merging[name]; first != nil {
		if !slices.Contains(first.Notifiers, notifier) {
			first.Notifiers = append(first.Notifiers, notifier)
		}
		return
	}
	ev.Notifiers = append(ev.Notifiers, notifier)
	if len(e.notifiers) == 1 || len(e.merging) >= maxMerging {
		e.put(ev)
		return
	}
	e.merging[name] = ev
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
		e.put(e.merging[name])
	}
	e.order = e.order[:0]
	clear(e.merging)
}

// put hands an event over; that of a condition is also the condition's state.
func (e *events) put(ev *event.Event) {
	u := source.Update{Event: true, Payload: payload.AppendEvent(nil, e.generation, ev.Append(nil)), Urgent: ev.Severity >= urgent}
	u.Time, _ = payload.Time(ev.Time)
	if ev.Condition != (rawvalue.NodeID{}) {
		u.Key = payload.ConditionKey(e.generation, ev.Condition, ev.Branch.AppendTo(nil))
		name := string(u.Key)
		last, was := e.known[name]
		if e.refreshing != nil {
			e.refreshing[name] = true
			u.Event = false // the event itself crossed when it happened, or the mirror sees that it is new
			if last == string(ev.ID) {
				return
			}
		}
		if u.Delete = !ev.Retain; u.Delete {
			delete(e.known, name)
			if !was && !u.Event {
				return
			}
		} else {
			e.known[name] = string(ev.ID)
		}
	}
	e.hand(u, ev)
}

// largeField is what a field of an event may have, in bytes, where the whole event
// is more than the link carries.
const largeField = 16 << 10

// hand gives an update of an event to the link. One that is too large crosses
// without its large fields, with a status in their place (OPC 10000-4 §7.21.3). Of
// a condition whose event is refused all the same, the state before it must not stay.
func (e *events) hand(u source.Update, ev *event.Event) {
	err := e.port.Put(u)
	if !refused(err) {
		return
	}
	if errors.Is(err, source.ErrTooLarge) {
		small := *ev
		small.Values = slices.Clone(ev.Values)
		for i, raw := range small.Values {
			if len(raw) > largeField && !bytes.HasSuffix(raw, ev.ID) { // without EventId it is not an event
				small.Values[i] = binary.LittleEndian.AppendUint32([]byte{byte(ua.TypeIDStatusCode)}, uint32(ua.StatusBadEncodingLimitsExceeded))
			}
		}
		u.Payload = payload.AppendEvent(nil, e.generation, small.Append(nil))
		if err = e.port.Put(u); !refused(err) {
			e.stats.ReducedEvents.Add(1)
			e.log.Warn("an event crosses without its large fields", "source", ev.Source.UA())
			return
		}
	}
	if n := e.stats.RefusedEvents.Add(1); n&(n-1) == 0 {
		e.log.Error("the link does not carry an event", "source", ev.Source.UA(), "error", err, "so far", n)
	}
	if u.Key != nil {
		delete(e.known, string(u.Key))
		_ = e.port.Put(source.Update{Key: u.Key, Delete: true}) // refused once the link is closed alone
	}
}

// sweep ends a refresh: conditions that it did not bring are not retained any more.
func (e *events) sweep() {
	for name := range e.known {
		if e.refreshing != nil && !e.refreshing[name] {
			delete(e.known, name)
			_ = e.port.Put(source.Update{Key: []byte(name), Delete: true})
		}
	}
	e.refreshing = nil
}
