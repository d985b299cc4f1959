package opcua

import (
	"errors"
	"slices"

	"heliograph/firmware/opcua/event"
)

// Our own bounds of the tables of event fields that are held in memory. A server with all event types of
// some companion specifications has one of 100 KiB, and another one when its types change.
const (
	maxTables     = 256
	maxTableBytes = 16 << 20 // of their encodings
)

var errTooManyTables = errors.New("the tables of the events of retained conditions leave no room for another")

// tables are tables of event fields, by their IDs.
type tables struct {
	byID  map[uint64]*event.Table
	order []uint64 // of byID, the oldest first
	bytes int      // of their encodings
}

func newTables() tables { return tables{byID: map[uint64]*event.Table{}} }

// add adds a table. Where there is no room the oldest ones are dropped, as few as can be and none that
// is in use: the live events have the newest.
func (s *tables) add(t *event.Table, inUse func() map[uint64]bool) error {
	if s.byID[t.ID()] != nil {
		return nil
	}
	if !s.makeRoom(t.Size(), inUse) {
		return errTooManyTables
	}
	s.byID[t.ID()] = t
	s.order = append(s.order, t.ID())
	s.bytes += t.Size()
	return nil
}

// makeRoom makes room for another table, and reports whether there is any.
func (s *tables) makeRoom(size int, inUse func() map[uint64]bool) bool {
	full := func() bool { return len(s.byID) >= maxTables || s.bytes+size > maxTableBytes }
	if !full() {
		return true
	}
	used := inUse()
	s.order = slices.DeleteFunc(s.order, func(id uint64) bool {
		if used[id] || !full() {
			return false
		}
		s.bytes -= s.byID[id].Size()
		delete(s.byID, id)
		return true
	})
	return !full()
}
