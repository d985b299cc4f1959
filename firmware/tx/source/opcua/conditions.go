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

// condition is what crossed last of a condition that is retained.
type condition struct {
	state     uint64            // event.StateHash
	table     uint64            // event.Table.ID
	notifiers []rawvalue.NodeID // those that reported it, and have repeated it since at each refresh
}

// heldEvent is an event that other notifiers may still report.
type heldEvent struct {
	*event.Event
	refreshed bool // a refresh has brought it
}

// putEvent hands an event over; that of a condition is also the condition's state.
func (e *events) putEvent(ev *event.Event, refreshed bool) {
	e.recent.add(eventIdentity(ev))
	u := e.update(ev)
	if u.Key == nil {
		e.hand(u, ev)
		return
	}
	name := string(u.Key)
	last, was := e.known[name]
	state := ev.StateHash(e.seed)
	if refreshed {
		if was && last.state == state {
			all := union(last.notifiers, ev.Notifiers)
			if len(all) == len(last.notifiers) && last.table == ev.Table.ID() {
				return
			}
			ev.Notifiers = all
			u = e.update(ev)
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
		e.known[name] = condition{state, ev.Table.ID(), ev.Notifiers}
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

// union returns a and what else is in b. It does not modify them.
func union(a, b []rawvalue.NodeID) []rawvalue.NodeID {
	a = slices.Clip(a)
	for _, n := range b {
		if !slices.Contains(a, n) {
			a = append(a, n)
		}
	}
	return a
}

// maxBrought is how many conditions refreshes that are under way have brought at most, each as often as
// notifiers report it: 25 MB, and more than a channel's state has. A refresh that brings more ends no
// condition.
const maxBrought = 250_000

// beginRefresh begins a refresh, of which each notifier has its own (OPC 10000-9 §5.5.7).
func (e *events) beginRefresh(notifier rawvalue.NodeID) {
	if e.refreshing == nil {
		e.refreshing = map[rawvalue.NodeID]map[string]bool{}
	}
	e.brought -= len(e.refreshing[notifier])
	e.refreshing[notifier] = map[string]bool{}
}

// refreshed records what a refresh of a notifier brings, and reports whether it brings this
// event.
func (e *events) refreshed(ev *event.Event, notifier rawvalue.NodeID) bool {
	brought := e.refreshing[notifier]
	if ev.Condition == (rawvalue.NodeID{}) {
		return brought != nil
	}
	key := e.conditionKey(ev)
	if brought == nil {
		return e.repeats(key, ev.StateHash(e.seed), notifier)
	}
	if brought[key] {
		return true
	}
	if e.brought++; e.brought > maxBrought {
		e.abandon()
		return true
	}
	brought[key] = true
	return true
}

func (e *events) conditionKey(ev *event.Event) string {
	return string(payload.ConditionKey(e.generation, ev.Condition, ev.Branch.AppendTo(nil)))
}

// endRefresh ends a refresh of a notifier. A condition that it reported and did not repeat is not
// retained any more (OPC 10000-9 §5.5.7), and its last event was lost, once that is so for all
// notifiers that reported it. The mirror's clients get an event that says so.
func (e *events) endRefresh(notifier rawvalue.NodeID, table *event.Table) {
	delete(e.awaited, notifier)
	brought := e.refreshing[notifier]
	if brought == nil {
		return
	}
	delete(e.refreshing, notifier)
	e.brought -= len(brought)
	if e.refreshes == nil {
		e.refreshes = map[rawvalue.NodeID]int{}
	}
	e.refreshes[notifier]++
	for _, held := range e.merging { // newer than what is known
		brought[e.conditionKey(held.Event)] = true
	}
	missing := map[string]*event.Event{}
	for name, c := range e.known {
		if brought[name] {
			continue
		}
		c.notifiers = slices.DeleteFunc(slices.Clone(c.notifiers), func(n rawvalue.NodeID) bool {
			// one that has no refreshes, where others have had two, will have none
			return n == notifier || e.refreshes[notifier] > 1 && e.refreshes[n] == 0
		})
		if e.known[name] = c; len(c.notifiers) == 0 {
			missing[name] = nil
			delete(e.known, name)
		}
	}
	e.endConditions(missing, table)
}

// endConditions reports the end of conditions, by key.
func (e *events) endConditions(missing map[string]*event.Event, table *event.Table) {
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
