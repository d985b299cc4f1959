package mirror

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/firmware/conduit/record"
)

// A channel without keys has a manifest in each cycle of the carousel, and no page.
func TestAManifestForgetsDeletions(t *testing.T) {
	for name, m := range map[string]record.Manifest{
		"complete": {Seq: 3}, "partial": {Seq: 3, Partial: true}, "of another set": {Seq: 3, Keys: 1, Hash: 1},
	} {
		s := newScene()
		s.set(1, 1, "k", "a")
		s.del(2, 1, "k")
		s.del(3, 3, "never seen")
		s.del(4, 4, "since then")
		s.Manifest(&m)
		if s.tombstones.has([]byte("k")) || s.tombstones.has([]byte("never seen")) ||
			!s.tombstones.has([]byte("since then")) || len(s.tombstones.order) != 1 {
			t.Errorf("%s: got %v, want the last deletion alone", name, s.tombstones.order)
		}
	}
}

// The deletions of a publisher that clears ever new topics take a bounded room, and what is
// forgotten of them brings no key back.
func TestDeletionsHaveABound(t *testing.T) {
	s := newScene()
	s.set(1, 1, "k", "a")
	s.set(2, 2, "l", "b")
	s.totals(2)
	s.del(3, 1, "k")
	long := strings.Repeat("x", 1000)
	for seq := uint64(4); seq <= 10_000; seq++ {
		s.del(seq, seq, fmt.Sprint(seq, long))
	}
	d := &s.tombstones
	if len(d.newest) > maxTombstones/1000 || len(d.order) > maxTombstones/1000 || d.has([]byte("k")) {
		t.Fatalf("got %d deletions, want at most %d bytes", len(d.order), maxTombstones)
	}
	s.page(t, record.Page{Last: true, Seq: 2, To: 2}, entry("k", "a", 1, 1), entry("l", "b", 2, 2))
	if st := s.Status(); st.Keys != 1 || st.Complete {
		t.Errorf("after an old page: got %d keys, complete %v; want l alone, not complete", st.Keys, st.Complete)
	}
	s.page(t, record.Page{Last: true, Seq: 10_000, To: 10_000}, entry("l", "b", 2, 2))
	if st := s.Status(); st.Keys != 1 || !st.Complete || len(d.order) != 0 || d.bytes != 0 {
		t.Errorf("after a new one: got %d keys, complete %v, %d deletions of %d bytes; want l, complete, none",
			st.Keys, st.Complete, len(d.order), d.bytes)
	}
}

// A key that is deleted again and again takes room each time.
func TestADeletionOfAKeyDeletedBeforeStays(t *testing.T) {
	s := newScene()
	for seq := uint64(1); seq < 20_000; seq += 2 {
		s.set(seq, seq, "k", "a")
		s.del(seq+1, seq, "k")
	}
	if d := &s.tombstones; len(d.order) > maxTombstones/tombstoneOverhead || !d.has([]byte("k")) {
		t.Errorf("got %d deletions", len(d.order))
	}
	s.page(t, record.Page{Last: true, Seq: 19_999, To: 19_999}, entry("k", "a", 19_999, 19_999))
	if st := s.Status(); st.Keys != 0 {
		t.Error("a page older than the last deletion has brought the key back")
	}
}
