package opcua

import (
	"errors"
	"slices"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// Our own bounds of the events that wait for their table.
const (
	maxEarly      = 100
	maxEarlyBytes = 16 << 20
)

// events holds the tables and retained conditions of a generation.
type events struct {
	server     Server
	history    *History // nil: none is kept
	tables     tables
	early      []sink.Update
	earlyBytes int
	retained   map[string]*event.Event // retained conditions, by key
}

func newEvents(s Server, h *History) events {
	return events{server: s, history: h, tables: newTables(), retained: map[string]*event.Event{}}
}

// addTable adds a table of event fields. One that another replaces stays until its room is needed:
// events of it may be on their way still.
func (e *events) addTable(u *sink.Update) error {
	if u.Delete {
		return nil // its events may still be retained
	}
	t, err := event.ParseTable(u.Payload)
	if err != nil {
		return err
	}
	return e.tables.add(t, e.tablesInUse)
}

// tablesInUse returns the IDs of the tables of retained conditions.
func (e *events) tablesInUse() map[uint64]bool {
	used := make(map[uint64]bool, 1)
	for _, ev := range e.retained {
		used[ev.Table.ID()] = true
	}
	return used
}

// takeEarly removes and returns the events that arrived before their table.
func (e *events) takeEarly() (early []sink.Update) {
	early, e.early, e.earlyBytes = e.early, nil, 0
	return early
}

var errTooManyEarly = errors.New("too many events wait for their table")

// parse returns an update's event, or nil when it has an error or waits for its table. The
// table of a late one may be of an earlier run, which the history has.
func (e *events) parse(u *sink.Update) (*event.Event, error) {
	_, raw, err := payload.ParseEvent(u.Payload)
	if err != nil {
		return nil, err
	}
	id, err := event.TableID(raw)
	if err != nil {
		return nil, err
	}
	table := e.tables.byID[id]
	if table == nil && u.Late {
		table = e.history.table(id)
	}
	if table == nil {
		return nil, e.wait(u)
	}
	ev, err := event.Parse(raw, table, rawvalue.Limits{})
	if err != nil {
		return nil, err
	}
	return ev, nil
}

// handleEvent reports an event to clients; that of a condition is also its state. A state that
// arrived without its event is reported unless it is the one reported last; that one again, if
// other nodes report it too.
func (e *events) handleEvent(u *sink.Update) error {
	if u.Delete && !u.Event {
		e.forget(string(u.Key))
		return nil
	}
	ev, err := e.parse(u)
	if ev == nil {
		return err
	}
	again := false
	if u.Key != nil {
		key := string(u.Key)
		last := e.retained[key]
		again = !u.Event && last != nil && last.SameState(ev)
		if again && !slices.ContainsFunc(ev.Notifiers,
			func(n rawvalue.NodeID) bool { return !slices.Contains(last.Notifiers, n) }) {
			return nil
		}
		if e.retained[key] = ev; u.Delete {
			delete(e.retained, key)
		}
	}
	e.server.Emit(ev)
	if e.history != nil && !again {
		_ = e.history.addEvent(u.Payload, ev, e.history.now()) // clients have it, and the store counts it
	}
	return nil
}

// wait has an event wait for its table.
func (e *events) wait(u *sink.Update) error {
	if len(e.early) >= maxEarly || e.earlyBytes+len(u.Payload) > maxEarlyBytes {
		return errTooManyEarly
	}
	e.early = append(e.early, *u)
	e.earlyBytes += len(u.Payload)
	return nil
}

// forget drops a condition whose last event was lost. How it ended is not known, so that no event
// can say it: clients are asked to refresh (OPC 10000-9 §5.11.4).
func (e *events) forget(key string) {
	if last := e.retained[key]; last != nil {
		delete(e.retained, key)
		e.server.Forget(last.Condition, last.Branch)
	}
}
