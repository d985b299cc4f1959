package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
)

// held are the newest values whose keys are not known yet, by the keys' creation.
type held struct {
	values map[uint64]record.Entry
	bytes  int
}

// Our own bounds of what one channel holds.
const (
	maxHeld      = 200_000 // values
	maxHeldBytes = 16 << 20
)

// store keeps a value in place of an older one, and reports whether there was room.
func (h *held) store(e *record.Entry) bool {
	h.discard(e.Created)
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

// remove removes and returns the value of the key that was created then.
func (h *held) remove(created uint64) (record.Entry, bool) {
	e, ok := h.values[created]
	if ok {
		delete(h.values, created)
		h.bytes -= len(e.Payload)
	}
	return e, ok
}

func (h *held) discard(created uint64) { h.remove(created) }

// clear discards all values and the memory that they used.
func (h *held) clear() { *h = held{} }
