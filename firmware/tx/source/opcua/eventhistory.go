package opcua

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/absence"
)

// Our own choices.
const (
	historyEvents = 50     // of one notifier in one answer
	maxRecent     = 10_000 // events of which it is known that they crossed
)

// recentEvents knows which events have crossed, the newest maxRecent of them, so that none
// that is read from history crosses twice. It is safe for concurrent use.
type recentEvents struct {
	mu    sync.Mutex
	seed  maphash.Seed
	known map[uint64]bool
	order []uint64 // a ring
	next  int
}

func newRecentEvents() *recentEvents {
	return &recentEvents{seed: maphash.MakeSeed(), known: map[uint64]bool{}}
}

// has reports whether an event has crossed.
func (r *recentEvents) has(ev *event.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[maphash.Bytes(r.seed, eventIdentity(ev))]
}

// add notes that an event of this identity has crossed, or never will, and reports whether
// that is new.
func (r *recentEvents) add(identity []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := maphash.Bytes(r.seed, identity)
	switch {
	case r.known[sum]:
		return false
	case len(r.order) < maxRecent:
		r.order = append(r.order, sum)
	default:
		delete(r.known, r.order[r.next])
		r.order[r.next] = sum
		r.next = (r.next + 1) % maxRecent
	}
	r.known[sum] = true
	return true
}

// eventHistorian reads the events of one notifier after the other that were missed. It runs
// beside its connection.
type eventHistorian struct {
	*historyReader
	handler   *eventHandler
	filter    client.Filter
	notifiers []rawvalue.NodeID
	gap       *absence.Gap
	lost      uint64 // of its events, those that are known to be lost
	list      []*event.Event
}

// historyNotifiers returns the notifiers with a history of events that we may read. That of
// the Server has the events of all.
func (e *events) historyNotifiers() (list []rawvalue.NodeID) {
	const historyRead = 0x04 // OPC 10000-3 §8.59
	e.mu.Lock()
	defer e.mu.Unlock()
	e.space.View(func(v addrspace.View) {
		var buf []byte
		for _, n := range e.notifiers {
			ref, _ := v.Lookup(n)
			buf, _ = v.AppendAttribute(buf[:0], ref, ua.AttributeIDEventNotifier)
			dv, err := rawvalue.SkimDataValue(buf, rawvalue.Limits{})
			if err != nil || dv.Value.Type() != ua.TypeIDByte || dv.Value.IsArray() ||
				dv.Value.Raw[1]&historyRead == 0 {
				continue
			}
			if n == (rawvalue.NodeID{Number: id.Server}) {
				list = []rawvalue.NodeID{n}
				return
			}
			list = append(list, n)
		}
	})
	return list
}

// recorded reports whether events are in a history that is read. A server that takes few
// select clauses in a filter is not asked.
func (e *events) recorded() bool {
	return len(e.withHistory) > 0 && e.sub != nil && len(e.layout.groups) == 1
}

// readClock reads the time with which the server stamps events.
func (c *connection) readClock(ctx context.Context) error {
	items := []client.ReadItem{{Node: rawvalue.NodeID{Number: id.Server_ServerStatus_CurrentTime},
		Attribute: ua.AttributeIDValue}}
	return c.session.Read(ctx, items, 0, func(_ int, v rawvalue.DataValue) {
		if v.Value.Type() == ua.TypeIDDateTime && !v.Value.IsArray() {
			cur := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
			if at := cur.Int64(); at > 0 {
				c.history.book.Clock(at, time.Now())
			}
		}
	})
}

// eventReader returns what is to read the events that were missed, nil if there is nothing
// to do.
func (c *connection) eventReader() *eventHistorian {
	e, book := c.events, c.history.book
	if !e.recorded() {
		return nil
	}
	now := time.Now()
	lost := c.history.lost.Swap(0) // before the interval, which then has all of them
	book.EventsCome(now)
	gap := book.NextEvents(now)
	if gap == nil {
		c.history.lost.Add(lost)
		return nil
	}
	if c.history.eventsRefused() {
		book.DoneEvents(true)
		c.stats.HistoryGivenUp.Add(1)
		c.port.Missed(lost, lostEvents)
		return nil
	}
	notifiers := e.withHistory
	clauses := e.layout.items(notifiers[0], 0)[0].Filter
	return &eventHistorian{historyReader: &historyReader{connection: c},
		handler: &eventHandler{events: e, table: e.table, layout: e.layout},
		filter:  clauses, notifiers: notifiers, gap: gap, lost: lost}
}

// run reads the interval to its end, and returns for how long the server is left alone.
func (r *eventHistorian) run(ctx context.Context) time.Duration {
	over := false
	defer func() { r.history.book.DoneEvents(over) }()
	r.rest = minHistoryRest
	for _, n := range r.notifiers {
		if err := r.readNotifier(ctx, n); err != nil {
			if over = r.failedEvents(ctx, n, err); over {
				r.port.Missed(r.lost, lostEvents)
			} else {
				r.history.lost.Add(r.lost)
			}
			return r.rest
		}
	}
	over = true
	return r.rest
}

// readNotifier reads the events of one notifier.
func (r *eventHistorian) readNotifier(ctx context.Context, notifier rawvalue.NodeID) error {
	items := []client.HistoryItem{{Node: notifier}}
	part := client.HistoryRange{From: r.gap.Next, To: r.gap.To, Most: historyEvents}
	for empty := 0; empty <= maxEmptyHistory; empty++ {
		r.list = r.list[:0]
		status := ua.StatusOK
		asked := time.Now()
		err := r.session.ReadEventHistory(ctx, part, r.filter, items, func(_ int, p client.HistoryPart) {
			items[0].Point, status = p.Point, p.Status
			for _, fields := range p.Events {
				r.parse(notifier, fields)
			}
			if len(p.Events) > 0 {
				empty = 0
			}
		})
		r.rest = max(minHistoryRest, historyRest*time.Since(asked))
		if err == nil && isBad(status) && status != ua.StatusBadNoData {
			err = &client.Error{Service: "HistoryRead", Code: status}
		}
		if err == nil {
			err = r.handOverEvents(ctx)
		}
		if err != nil || items[0].Point == nil {
			return err
		}
		if !sleep(ctx, r.rest-time.Since(asked)) {
			return ctx.Err()
		}
	}
	r.release([]*historyItem{{node: notifier, point: items[0].Point}})
	return &client.Error{Service: "HistoryRead", Code: ua.StatusBadContinuationPointInvalid}
}

// parse collects an event that crosses and has not yet.
func (r *eventHistorian) parse(notifier rawvalue.NodeID, fields [][]byte) {
	values := make([][]byte, len(fields))
	for i, f := range fields {
		values[i] = bytes.Clone(f)
	}
	if len(values) != len(r.handler.table.Operands()) {
		r.handler.undecodable(values, errors.New("wrong number of fields"))
		return
	}
	r.handler.identify(values)
	ev, err := event.FromFields(r.handler.table, values)
	if err != nil {
		r.handler.undecodable(values, err)
		return
	}
	if r.handler.aboutSession(ev) != 0 || !r.handler.crosses(ev) {
		return
	}
	ev.Notifiers = []rawvalue.NodeID{notifier}
	r.list = append(r.list, ev)
}

// handOverEvents puts the events that have not crossed, and waits until they have left.
func (r *eventHistorian) handOverEvents(ctx context.Context) error {
	r.lates = r.lates[:0]
	recent := r.history.recent
	for _, ev := range r.list {
		if recent.has(ev) {
			continue
		}
		u := source.Update{Event: true, Late: true,
			Payload: payload.AppendEvent(nil, r.handler.generation, ev.Append(nil))}
		u.Time, _ = payload.RecordTime(ev.Time)
		r.lates = append(r.lates, lateValue{update: u})
	}
	if err := r.handOver(ctx); err != nil {
		return err
	}
	for _, ev := range r.list {
		recent.add(eventIdentity(ev))
		if len(r.notifiers) == 1 {
			r.gap.Next = max(r.gap.Next, ev.Time)
		}
	}
	return nil
}

// failedEvents handles an interval that was not read to its end, and reports whether it is
// given up.
func (r *eventHistorian) failedEvents(ctx context.Context, notifier rawvalue.NodeID, err error) (over bool) {
	if ctx.Err() != nil || r.session.Err() != nil || errors.Is(err, source.ErrClosed) {
		return false
	}
	code := ua.StatusBadUnexpectedError
	var refusal *client.Error
	if errors.As(err, &refusal) {
		code = refusal.Code
	}
	if r.rest = slowHistoryRest; mayReadLess(code) && r.gap.Failures < maxEventFailures {
		r.gap.Failures++
		return false
	}
	h := r.history
	h.mu.Lock()
	h.events = h.events.again(code, time.Now())
	h.mu.Unlock()
	r.stats.HistoryRefused.Add(1)
	r.stats.HistoryGivenUp.Add(1)
	r.log.Warn("the history of events cannot be read", "error", err, "node", notifier.UA())
	return true
}

// maxEventFailures is how often an interval is tried again, slowHistoryRest apart.
const maxEventFailures = 3
