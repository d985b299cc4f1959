package subscription

import (
	"crypto/rand"
	"slices"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Event reports an event, and records the state of its condition.
func (e *Engine) Event(ev *event.Event) {
	e.conditionsMu.Lock()
	e.conditions.Put(ev)
	e.conditionsMu.Unlock()
	e.cfg.Space.View(func(v addrspace.View) {
		for _, n := range ev.Notifiers {
			for _, it := range e.eventIndex.items(n) {
				it.sub.mu.Lock()
				it.offerEvent(e, ev, v, false)
				it.sub.mu.Unlock()
			}
		}
	})
}

// Forget drops a retained condition without an event.
func (e *Engine) Forget(condition, branch rawvalue.NodeID) {
	e.conditionsMu.Lock()
	defer e.conditionsMu.Unlock()
	e.conditions.Put(&event.Event{Condition: condition, Branch: branch})
}

// refresh sends the state of all retained conditions to event items of a subscription
// (OPC 10000-9 §5.5.7). RefreshStartEvent and RefreshEndEvent pass every filter. It holds no
// lock for long; a state that was replaced meanwhile is left out, because the new one was
// reported as an event.
func (k *call) refresh(s *subscription, items []*item, list []*event.Event) {
	const stretch = 200 // events compared with filters before the lock is released
	for part := range slices.Chunk(list, max(1, stretch/len(items))) {
		k.cfg.Space.View(func(v addrspace.View) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, ev := range part {
				around := ev == list[0] || ev == list[len(list)-1]
				if !around && !k.retained(ev) {
					continue
				}
				for _, it := range items {
					if around || it.reportsAt(ev) {
						it.offerEvent(k.Engine, ev, v, around)
					}
				}
			}
		})
	}
	k.mu.Lock()
	s.refreshing = false
	k.mu.Unlock()
}

// snapshot returns the events of a refresh.
func (e *Engine) snapshot(start, end event.Stamp) []*event.Event {
	e.conditionsMu.Lock()
	defer e.conditionsMu.Unlock()
	return slices.Collect(e.conditions.Refresh(start, end))
}

func (e *Engine) retained(ev *event.Event) bool {
	e.conditionsMu.Lock()
	defer e.conditionsMu.Unlock()
	return e.conditions.Holds(ev)
}

func (e *Engine) stamp() event.Stamp {
	st := event.Stamp{Time: uabinary.Ticks(e.cfg.Now())}
	_, _ = rand.Read(st.ID[:]) // never fails
	return st
}
