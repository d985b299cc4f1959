package subscription

import (
	"crypto/rand"
	"slices"
	"time"

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
				it.offerEvent(e, ev, v, happened)
				it.sub.mu.Unlock()
			}
		}
	})
}

// refreshDelay lets conditions that are dropped together cost clients one refresh.
const refreshDelay = 500 * time.Millisecond

// Forget drops a retained condition without an event, and asks clients to refresh: how it
// ended is not known here.
func (e *Engine) Forget(condition, branch rawvalue.NodeID) {
	e.conditionsMu.Lock()
	defer e.conditionsMu.Unlock()
	e.conditions.Put(&event.Event{Condition: condition, Branch: branch})
	if e.refreshDue == 0 {
		e.refreshDue = time.Duration(e.now.Load()) + refreshDelay
	}
}

// requestRefresh sends a RefreshRequiredEvent to all event items when it is due. It passes
// every filter (OPC 10000-9 §4.5). mu must be held.
func (e *Engine) requestRefresh(now time.Time) {
	e.conditionsMu.Lock()
	due := e.refreshDue != 0 && now.Sub(e.base) >= e.refreshDue
	if due {
		e.refreshDue = 0
	}
	e.conditionsMu.Unlock()
	if !due {
		return
	}
	ev := event.RefreshRequired(e.stamp())
	e.cfg.Space.View(func(v addrspace.View) {
		for _, s := range e.subs {
			s.mu.Lock()
			for _, it := range s.items {
				if it.events {
					it.offerEvent(e, ev, v, protocol)
				}
			}
			s.mu.Unlock()
		}
	})
}

// requestRefreshAfterLoss sends a RefreshRequiredEvent to the items that have lost states of
// conditions, behind the event that reports it (OPC 10000-9 §5.11.4). What a refresh itself loses
// requires no other one: it would lose it again. mu must be held.
func (e *Engine) requestRefreshAfterLoss(s *subscription) {
	if !s.refreshIsRequired.Load() {
		return
	}
	e.cfg.Space.View(func(v addrspace.View) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refreshRequired = slices.DeleteFunc(s.refreshRequired, func(it *item) bool {
			if !it.refreshRequired {
				return true
			}
			if it.overflowed || it.eventCount() >= it.queueSize {
				return false
			}
			it.refreshRequired = false
			it.offerEvent(e, event.RefreshRequired(e.stamp()), v, protocol)
			return true
		})
		s.refreshIsRequired.Store(len(s.refreshRequired) > 0)
	})
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
				why := repeated
				if ev == list[0] || ev == list[len(list)-1] {
					why = protocol
				} else if !k.retained(ev) {
					continue
				}
				for _, it := range items {
					if why == protocol || it.reportsAt(ev) {
						it.offerEvent(k.Engine, ev, v, why)
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
