package opcua

import (
	"context"
	"errors"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Our own choices. A server may have more conditions than its queue of events takes: a
// refresh then loses some of them, which is a reason for another one.
const (
	minRefresh    = 5 * time.Second  // from one refresh to the next; doubled when one loses events
	maxRefresh    = 10 * time.Minute // what that grows to
	refreshWithin = 30 * time.Second // what a refresh brings has come
)

// refreshAll asks the server for the state of all conditions: now, or once it has had its
// rest from the last time.
func (e *events) refreshAll(ctx context.Context) error {
	if e.sub == nil {
		return nil
	}
	if wait := e.beginAsking(); wait > 0 {
		e.refreshAfter(wait)
		return nil
	}
	err := e.session.ConditionRefresh(ctx, e.sub)
	switch {
	case errors.Is(err, ua.StatusBadTimeout), // it has more time with the next try
		errors.Is(err, ua.StatusBadRefreshInProgress): // which does not bring all that this one would
		e.refreshAfter(requestTimeout)
	case err != nil:
		e.mu.Lock()
		e.awaited = nil
		e.mu.Unlock()
		e.log.Info("conditions not refreshed", "error", err) // many servers have none
	}
	return ctx.Err()
}

// refreshAfter has conditions refreshed after some time. It is called by one goroutine.
func (e *events) refreshAfter(d time.Duration) {
	if e.again != nil {
		e.again.Reset(d)
		return
	}
	e.again = time.AfterFunc(d, func() { signal(e.refresh) })
}

// beginAsking records that the server is asked for a refresh now, or returns how long that
// has to wait.
func (e *events) beginAsking() (wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.spoiled {
		e.rest = minRefresh
	}
	if wait = e.rest - time.Since(e.asked); wait > 0 {
		return wait
	}
	e.asked, e.spoiled = time.Now(), false
	e.awaited = map[rawvalue.NodeID]bool{}
	for _, n := range e.notifiers {
		e.awaited[n] = true
	}
	return 0
}

// abandonRefresh ends refreshes of which events were lost: what they did not bring may be
// active. The server has a longer rest before the next one.
func (e *events) abandonRefresh() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.abandon()
}

// abandon is abandonRefresh with mu held.
func (e *events) abandon() {
	e.refreshing, e.brought = nil, 0
	if !e.spoiled && time.Since(e.asked) < refreshWithin {
		e.spoiled, e.rest = true, min(2*e.rest, maxRefresh)
	}
}

// repeats reports whether an event brings the state of a condition that is known, while a
// notifier is to send a refresh: its beginning may have been lost. It is called with mu held.
func (e *events) repeats(key string, state uint64, notifier rawvalue.NodeID) bool {
	last, known := e.known[key]
	return known && last.state == state && e.awaited[notifier] && time.Since(e.asked) < refreshWithin
}
