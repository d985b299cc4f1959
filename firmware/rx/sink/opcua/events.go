package opcua

import (
	"errors"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// maxEarly bounds the events that wait for their table.
const maxEarly = 100

// events is what is known of the events of a generation.
type events struct {
	server Server
	tables map[uint64]*event.Table
	early  []sink.Update
	last   map[string]*event.Event // of the conditions that are retained, by key
}

func newEvents(s Server) events {
	return events{server: s, tables: map[uint64]*event.Table{}, last: map[string]*event.Event{}}
}

// table takes a table.
func (e *events) table(u *sink.Update) error {
	if u.Delete {
		return nil // its events may still be retained
	}
	t, err := event.ParseTable(u.Payload)
	if err == nil {
		e.tables[t.ID()] = t
	}
	return err
}

// waited returns the events that came before their table, which do not wait any more.
func (e *events) waited() (early []sink.Update) {
	early, e.early = e.early, nil
	return early
}

var errNoTable = errors.New("an event whose table has not come, and too many wait already")

// take tells clients of an event. A condition's is also what it is refreshed from;
// one that came as state alone is an event if it has not been told yet.
func (e *events) take(u *sink.Update) error {
	if u.Delete && !u.Event {
		e.forget(string(u.Key))
		return nil
	}
	_, raw, err := payload.ParseEvent(u.Payload)
	if err != nil {
		return err
	}
	name, err := event.TableID(raw)
	if err != nil {
		return err
	}
	table := e.tables[name]
	if table == nil {
		if len(e.early) >= maxEarly {
			return errNoTable
		}
		e.early = append(e.early, *u)
		return nil
	}
	ev, err := event.Parse(raw, table, rawvalue.Limits{})
	if err != nil {
		return err
	}
	if u.Key != nil {
		key := string(u.Key)
		last := e.last[key]
		if !u.Event && last != nil && last.SameState(ev) {
			return nil
		}
		if e.last[key] = ev; u.Delete {
			delete(e.last, key)
		}
	}
	e.server.Emit(ev)
	return nil
}

// forget ends a condition of which nothing more is known.
func (e *events) forget(key string) {
	if last := e.last[key]; last != nil {
		delete(e.last, key)
		e.server.Forget(last.Condition, last.Branch)
	}
}
