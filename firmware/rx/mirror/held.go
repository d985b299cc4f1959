package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
)

// held are the newest values whose keys are not known yet, by birth.
type held struct {
	values map[uint64]record.Entry
	bytes  int
}

// Our own bounds of what one channel holds.
const (
	maxHeld      = 200_000 // values
	maxHeldBytes = 16 << 20
)

// put keeps a value in place of an older one, and reports whether there was room.
func (h *held) put(e *record.Entry) bool {
	h.forget(e.Created)
	if len(h.values) >= maxHeld || h.bytes+len(e.Payload) > maxHeldBytes {
		return false
	}
	if h.values == nil {
		h.values = map[uint64]record.Entry{}
	}
	kept := *e
	kept.Payload = bytes.Clone(e.Payload)
	h.values[e.Created] = kept
	h.bytes += len(e.Payload)
	return true
}

// take takes out what is held of the key born then.
func (h *held) take(born uint64) (record.Entry, bool) {
	e, ok := h.values[born]
	if ok {
		delete(h.values, born)
		h.bytes -= len(e.Payload)
	}
	return e, ok
}

func (h *held) forget(born uint64) { h.take(born) }

// drop forgets all, the space that it took included.
func (h *held) drop() { *h = held{} }
