package node

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config/pairkey"
)

// keyring opens a link's sessions with pair keys.
type keyring interface {
	SetKeys(keys ...wire.PairKey)
	Key() (key wire.PairKey, ok bool)
}

// pairKeys lets the operator change the pair key while the link runs. Keys are noted
// by their IDs.
type pairKeys struct {
	source   *pairkey.Source
	link     keyring
	audit    func(kind, text string)
	accepted string
	old      string // accepted too; "": none
	received string // with which the transmitter sends; "": not known yet
}

// update has the link accept the keys that are in force. A file that cannot be read
// changes nothing.
func (k *pairKeys) update(now time.Time) {
	use, damaged, err := k.source.Use(now)
	if err != nil || damaged != nil {
		return
	}
	keys := []wire.PairKey{use.Key}
	id, old := pairkey.ID(use.Key), ""
	if use.Old != nil {
		keys = append(keys, *use.Old)
		old = pairkey.ID(*use.Old)
	}
	k.link.SetKeys(keys...)
	if id != k.accepted || old != k.old {
		switch {
		case k.accepted == "" && old == "": // the start, with one key
		case old != "":
			until := use.Until.Format(time.RFC3339)
			k.audit("pair_key_added", fmt.Sprintf("pair key %s is accepted, and until %s key %s too", id, until, old))
		default:
			k.audit("pair_key_ended", fmt.Sprintf("pair key %s is accepted, and no other any more", id))
		}
		k.accepted, k.old = id, old
	}
	k.observe()
}

// observe notes the key that the transmitter uses.
func (k *pairKeys) observe() {
	key, ok := k.link.Key()
	if !ok {
		return
	}
	id := pairkey.ID(key)
	if k.received != "" && k.received != id {
		k.audit("pair_key_changed", fmt.Sprintf("the transmitter uses pair key %s, not %s as before", id, k.received))
	}
	k.received = id
}
