package mirror

// tombstones are the deletions that a page made before them could undo. What the carousel
// sends of a channel arrives in the order in which it was made: once a page or a manifest
// has arrived that is not older than a deletion, none that is older follows.
type tombstones struct {
	newest    map[string]uint64 // number of a key's last deletion
	order     []deletion        // all of them, oldest first
	bytes     int               // of order
	forgotten uint64            // the newest deletion that there was no room for
}

// deletion is the deletion of a key.
type deletion struct {
	key string
	seq uint64
}

// Our own bounds of what the tombstones of one channel take, in bytes.
const (
	maxTombstones     = 1 << 20
	tombstoneOverhead = 128 // of each, beside its key
)

// add adds a deletion, which is newer than all before it. Where there is no room the oldest
// ones are forgotten: a page older than one of these could bring a key back, and counts as
// one that did not arrive.
func (t *tombstones) add(key []byte, seq uint64) {
	d := deletion{string(key), seq}
	if t.newest == nil {
		t.newest = map[string]uint64{}
	}
	t.newest[d.key] = seq
	t.order = append(t.order, d)
	for t.bytes += d.bytes(); t.bytes > maxTombstones; {
		t.forgotten = t.order[0].seq
		t.removeOldest()
	}
}

// removeUpTo removes the deletions up to a number.
func (t *tombstones) removeUpTo(seq uint64) {
	for len(t.order) > 0 && t.order[0].seq <= seq {
		t.removeOldest()
	}
}

func (t *tombstones) removeOldest() {
	d := t.order[0]
	if t.newest[d.key] == d.seq {
		delete(t.newest, d.key)
	}
	t.bytes -= d.bytes()
	t.order[0] = deletion{}
	if t.order = t.order[1:]; len(t.order) == 0 {
		t.newest, t.order = nil, nil // a map does not shrink
	}
}

func (d *deletion) bytes() int { return len(d.key) + tombstoneOverhead }

// has reports whether a key was deleted since the last page or manifest was made.
func (t *tombstones) has(key []byte) bool {
	_, deleted := t.newest[string(key)]
	return deleted
}
