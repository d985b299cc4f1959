package opcua

import (
	"maps"
	"slices"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/tx/source"
)

// maxTables is how many tables of event fields the state has at most. After each change a refresh sends
// what is retained with the new table; the others are for events and conditions that are on their way,
// and for servers that send no refresh.
const maxTables = 16

// sentTables are the tables of event fields that have crossed in a generation. They outlive sessions, as
// the conditions do that name them.
type sentTables struct {
	ids  []uint64 // by number
	used []int    // numbers; the one that was followed last is the last
}

// send has a table cross, if the state does not have it, and reports whether the link carries it.
func (e *events) send(table *event.Table) bool {
	at := slices.Index(e.sent.ids, table.ID())
	if at < 0 {
		at = e.freeTable()
		key := payload.Key{Kind: payload.Table, Generation: e.generation, Number: uint32(at)}.Append(nil)
		if err := e.port.Put(source.Update{Key: key, Payload: table.Append(nil)}); refused(err) {
			return false
		}
		if at == len(e.sent.ids) {
			e.sent.ids = append(e.sent.ids, 0)
		} else {
			e.endTable(e.sent.ids[at])
		}
		e.sent.ids[at] = table.ID()
	}
	e.sent.used = append(slices.DeleteFunc(e.sent.used, func(n int) bool { return n == at }), at)
	return true
}

// freeTable returns a number that no table has, or that of one which no retained condition names; of
// those, as of all if there is none, the one that was not followed for the longest time.
func (e *events) freeTable() int {
	if len(e.sent.ids) < maxTables {
		return len(e.sent.ids)
	}
	named := map[uint64]bool{}
	e.mu.Lock()
	for _, c := range e.known {
		named[c.table] = true
	}
	e.mu.Unlock()
	before := e.sent.used[:maxTables-1] // the last one is in use
	if at := slices.IndexFunc(before, func(n int) bool { return !named[e.sent.ids[n]] }); at >= 0 {
		return before[at]
	}
	return before[0]
}

// endTable deletes the state of conditions that name a table which crosses no more. What is retained of
// them is sent by the next refresh.
func (e *events) endTable(id uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.known, func(key string, c condition) bool {
		if c.table == id {
			_ = e.port.Put(source.Update{Key: []byte(key), Delete: true}) // refused only after the link was closed
		}
		return c.table == id
	})
}
