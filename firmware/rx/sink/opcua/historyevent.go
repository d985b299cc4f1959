package opcua

import (
	"slices"
	"time"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// Events implements server.Historian. In the place of events whose NodeIds mean other nodes now, and of those
// that cannot be read, it yields nil.
func (h *History) Events(from, to time.Time, f func(time.Time, *event.Event) bool) error {
	s := h.space.Load()
	if s == nil {
		return nil
	}
	missing := map[uint64]bool{} // tables, which are searched for in every file
	return h.store.Events(from, to, func(at time.Time, record []byte) bool {
		generation, raw, err := payload.ParseEvent(record)
		if err == nil && !h.fits(s, generation) {
			return f(at, nil)
		}
		ev := h.parse(raw, missing) // of no bytes after an error
		if ev == nil {
			h.unreadable.Add(1)
		}
		return f(at, ev)
	})
}

// readable reports whether events of a generation can be read in the one that is in force.
func (h *History) readable(generation uint32) bool {
	s := h.space.Load()
	return s != nil && h.fits(s, generation)
}

// parse reads an event, nil if it cannot be read.
func (h *History) parse(raw []byte, missing map[uint64]bool) *event.Event {
	id, err := event.TableID(raw)
	if err != nil || missing[id] {
		return nil
	}
	table := h.table(id)
	if table == nil {
		missing[id] = true
		return nil
	}
	ev, err := event.Parse(raw, table, rawvalue.Limits{})
	if err != nil {
		return nil
	}
	return ev
}

// table returns a table of event fields, nil if it is not known.
func (h *History) table(id uint64) *event.Table {
	h.mu.Lock()
	t, known := h.tables.byID[id]
	h.mu.Unlock()
	if known {
		return t
	}
	if content := h.noteOf(tableName(id)); content != nil {
		t, _ = event.ParseTable(content)
	}
	if t != nil {
		h.addTable(t)
	}
	return t
}

// addTable has a table at hand.
func (h *History) addTable(t *event.Table) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.tables.add(t, func() map[uint64]bool { return nil }) // none is in use, so that there is room
}

// fits reports whether the NodeIds of a generation mean the same nodes now: its namespaces are
// the first ones of today's, or the other way round.
func (h *History) fits(s *historySpace, generation uint32) bool {
	s.mu.Lock()
	fits, known := s.fits[generation]
	s.mu.Unlock()
	if known {
		return fits
	}
	var other payload.SpaceHeader
	if content := h.noteOf(spaceName(generation)); content != nil && other.Parse(content) == nil {
		n := min(len(other.Namespaces), len(s.header.Namespaces))
		fits = slices.Equal(other.Namespaces[:n], s.header.Namespaces[:n])
	}
	s.mu.Lock()
	s.fits[generation] = fits
	s.mu.Unlock()
	return fits
}
