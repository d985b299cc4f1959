package main

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config/pairkey"
)

// lookAtKeys lets the operator change the pair key while the link goes on. A
// file that cannot be read changes nothing.
func (b *board) lookAtKeys() {
	use, damaged, err := b.keys.Use(time.Now())
	if err != nil || damaged != nil {
		return
	}
	accepted := []wire.PairKey{use.Key}
	old := ""
	if use.Old != nil {
		accepted = append(accepted, *use.Old)
		old = pairkey.ID(*use.Old)
	}
	b.link.SetKeys(accepted...)
	if id := pairkey.ID(use.Key); id != b.key || old != b.oldKey {
		switch {
		case b.key == "" && old == "": // the start, with one key
		case old != "":
			b.journal.Add("pair_key_added", fmt.Sprintf("pair key %s is accepted, and until %s key %s too", id, use.Until.Format(time.RFC3339), old))
		default:
			b.journal.Add("pair_key_ended", fmt.Sprintf("pair key %s is accepted, and no other any more", id))
		}
		b.key, b.oldKey = id, old
	}
	if key, ok := b.link.Key(); ok {
		id := pairkey.ID(key)
		if b.heardKey != "" && b.heardKey != id {
			b.journal.Add("pair_key_changed", fmt.Sprintf("the transmitter uses pair key %s, not %s as before", id, b.heardKey))
		}
		b.heardKey = id
	}
}
