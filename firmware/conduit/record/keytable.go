package record

import (
	"bytes"
	"hash/maphash"
)

// keyTable finds the keys that a page's entries have brought, without a copy of
// them. The zero value is empty.
type keyTable struct {
	seed   maphash.Seed
	seeded bool
	slots  []uint32 // 1 + the place of a key, or 0; a power of two, at most half of them in use
	spans  []span   // by place
}

// span is where a key stands among the entries.
type span struct{ at, end uint32 }

// keepSlots bounds the slots that stay between pages.
const keepSlots = 8192

// reset empties the table and keeps its memory, up to a bound.
func (t *keyTable) reset() {
	if len(t.slots) > keepSlots {
		*t = keyTable{seed: t.seed, seeded: t.seeded}
	}
	clear(t.slots)
	t.spans = t.spans[:0]
}

// memory returns the bytes that the table takes.
func (t *keyTable) memory() int { return 4*cap(t.slots) + 8*cap(t.spans) }

// slot returns where the place of a key with that hash is, or is to be.
func (t *keyTable) slot(entries, key []byte, hash uint64) *uint32 {
	for i := hash; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if *s == 0 {
			return s
		}
		if k := t.spans[*s-1]; bytes.Equal(entries[k.at:k.end], key) {
			return s
		}
	}
}

// find returns the slot of a key among those of the entries: 1 + its place, or 0 where
// it is to be. It is valid until the next call.
func (t *keyTable) find(entries, key []byte) *uint32 {
	if 2*(len(t.spans)+1) > len(t.slots) {
		t.grow(entries)
	}
	return t.slot(entries, key, maphash.Bytes(t.seed, key))
}

// add adds the key that stands at the end of the entries, whose slot find has returned.
func (t *keyTable) add(slot *uint32, entries []byte, length int) {
	t.spans = append(t.spans, span{uint32(len(entries) - length), uint32(len(entries))})
	*slot = uint32(len(t.spans))
}

func (t *keyTable) grow(entries []byte) {
	if !t.seeded {
		t.seed, t.seeded = maphash.MakeSeed(), true
	}
	t.slots = make([]uint32, max(64, 2*len(t.slots)))
	for place, k := range t.spans {
		key := entries[k.at:k.end]
		*t.slot(entries, key, maphash.Bytes(t.seed, key)) = uint32(place) + 1
	}
}
