package send

import "heliograph/firmware/tx/carousel"

// key is what a channel has of one key: the newest value that was sent, and what
// waits. One lookup finds both.
type key struct {
	sent    *carousel.Entry // nil: nothing was sent, or the key is deleted
	newest  *item           // the newest record that waits, which the older ones follow; nil: none does
	waiting int             // records that wait
}

// keyIndex finds keys by their bytes. The zero value is empty.
type keyIndex struct{ keys map[string]*key }

// find returns a key, or nil.
func (x *keyIndex) find(name []byte) *key { return x.keys[string(name)] }

// add adds a key that the index does not have.
func (x *keyIndex) add(name []byte) *key {
	if x.keys == nil {
		x.keys = make(map[string]*key)
	}
	k := &key{}
	x.keys[string(name)] = k
	return k
}

// release removes a key of which nothing is left.
func (x *keyIndex) release(k *key, name []byte) {
	if k != nil && k.sent == nil && k.waiting == 0 {
		delete(x.keys, string(name))
	}
}

// claim is the state that the key will have once all that waits has left.
func (k *key) claim() claims {
	switch {
	case k == nil:
		return claims{}
	case k.newest != nil:
		return k.newest.claim()
	case k.sent != nil:
		return claims{1, k.sent.Bytes() + stateOverhead}
	}
	return claims{}
}
