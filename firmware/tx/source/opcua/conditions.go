package opcua

import (
	"bytes"
	"crypto/rand"
	"maps"
	"slices"
	"time"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/tx/source"
)

// putEvent hands an event over; that of a condition is also the condition's state.
func (e *events) putEvent(ev *event.Event) {
	e.recent.add(eventIdentity(ev))
	u := e.update(ev)
	if u.Key == nil {
		e.hand(u, ev)
		return
	}
	name := string(u.Key)
	last, was := e.known[name]
	state := ev.StateHash(e.seed)
	if e.refreshing != nil {
		e.refreshing[name] = true
		if was && last == state {
			return
		}
		// The event of a retained state crossed when it happened, or the mirror sees that the
		// state is new. A state that is not retained is kept nowhere: its event must cross
		// (OPC 10000-9 §5.5.2), once.
		u.Event = was && !ev.Retain
	}
	if u.Delete {
		delete(e.known, name)
		if !was && !u.Event {
			return
		}
	} else {
		e.known[name] = state
	}
	e.hand(u, ev)
}

// update returns an event as an update of the link.
func (e *events) update(ev *event.Event) source.Update {
	u := source.Update{Event: true, Payload: payload.AppendEvent(nil, e.generation, ev.Append(nil)),
		Urgent: ev.Severity >= urgent}
	u.Time, _ = payload.RecordTime(ev.Time)
	if ev.Condition != (rawvalue.NodeID{}) {
		u.Key = payload.ConditionKey(e.generation, ev.Condition, ev.Branch.AppendTo(nil))
		u.Delete = !ev.Retain
	}
	return u
}

// endRefresh ends a refresh: conditions that it did not repeat are not retained any more
// (OPC 10000-9 §5.5.7), and their last events were lost. The mirror's clients get an event
// that says so in place of each.
func (e *events) endRefresh(table *event.Table) {
	missing := map[string]*event.Event{}
	for name := range e.known {
		if e.refreshing != nil && !e.refreshing[name] {
			missing[name] = nil
			delete(e.known, name)
		}
	}
	e.refreshing = nil
	if len(missing) == 0 {
		return
	}
	e.port.Range(func(key, content []byte) bool {
		if _, ok := missing[string(key)]; ok {
			missing[string(key)] = parseEvent(bytes.Clone(content), table)
		}
		return true
	})
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		last := missing[name]
		if last == nil { // the server has other event types now
			_ = e.port.Put(source.Update{Key: []byte(name), Delete: true})
			continue
		}
		stamp := event.Stamp{Time: uabinary.Ticks(time.Now())}
		_, _ = rand.Read(stamp.ID[:]) // never fails
		ended := last.Ended(stamp)
		e.hand(e.update(ended), ended)
	}
}

// parseEvent returns an event that has crossed, nil if it is of another table.
func parseEvent(content []byte, table *event.Table) *event.Event {
	_, raw, err := payload.ParseEvent(content)
	if err != nil {
		return nil
	}
	ev, err := event.Parse(raw, table, rawvalue.Limits{})
	if err != nil {
		return nil
	}
	return ev
}
