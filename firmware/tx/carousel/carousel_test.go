package carousel

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"heliograph/firmware/conduit/record"
)

// TestLateJoinOfSmallTags holds the size of a cycle to what the slowest medium
// can send in time, with nothing but the carousel's guaranteed share.
func TestLateJoinOfSmallTags(t *testing.T) {
	const (
		tags      = 10_000
		frame     = 190               // bytes of records in a UART frame, about
		bytesPerS = 64_000 * 25 / 100 // of records at 921600 baud, the guaranteed share
		atMost    = 20                // seconds
	)
	var table Table
	entries := make([]*Entry, tags)
	for i := range uint64(tags) {
		key := binary.BigEndian.AppendUint32(nil, uint32(i))
		at := int64(1_700_000_000_000_000_000 + 12_345_600*(i%1000))
		entries[i] = table.Create(key, make([]byte, 9), at, i+1)
	}
	for i := range uint64(tags) { // ages differ from then on
		k := i * 7919 % tags
		table.Update(entries[k], make([]byte, 9), int64(1_700_000_100_000_000_000+12_345_600*(k%1000)), tags+i+1)
	}
	bytes, from := 0, uint64(0)
	for last := false; !last; {
		var page []byte
		page, from, last = table.AppendPage(nil, 1, 2*tags, from, frame)
		if len(page) > frame {
			t.Fatalf("got a page of %d bytes, want at most %d", len(page), frame)
		}
		bytes += frame // what is left of a frame is too small for another page
	}
	t.Logf("%d bytes, %.1f per tag, %.1f s", bytes, float64(bytes)/tags, float64(bytes)/bytesPerS)
	if bytes > atMost*bytesPerS {
		t.Errorf("got %d bytes in a cycle, want at most %d", bytes, atMost*bytesPerS)
	}
}

// TestACycleStatesTheTable compares one cycle of pages, of any size, with a map that
// went through the same changes.
func TestACycleStatesTheTable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table Table
	entries, want := map[string]*Entry{}, map[string]record.Entry{}
	for seq := uint64(1); seq <= 3000; seq++ {
		name := fmt.Sprint(random.IntN(200))
		payload := make([]byte, random.IntN(100))
		switch e := entries[name]; {
		case e == nil:
			entries[name] = table.Create([]byte(name), payload, int64(seq), seq)
			want[name] = record.Entry{Seq: seq, Created: seq, Time: int64(seq), Key: []byte(name), Payload: payload}
		case random.IntN(3) == 0:
			table.Delete(e)
			delete(entries, name)
			delete(want, name)
		default:
			table.Update(e, payload, int64(seq), seq)
			want[name] = record.Entry{Seq: seq, Created: e.Created(), Time: int64(seq), Key: []byte(name),
				Payload: payload}
		}
		if seq%100 == 0 {
			compare(t, &table, seq, 1+random.IntN(500), want)
		}
	}
	if len(table.order) > 2*table.Len()+keepDeleted {
		t.Errorf("got %d entries for %d keys: deleted ones stay", len(table.order), table.Len())
	}
}

// compare reads a cycle of pages of about size bytes.
func compare(t *testing.T, table *Table, seq uint64, size int, want map[string]record.Entry) {
	t.Helper()
	got, bytes, hash := map[string]record.Entry{}, 0, uint64(0)
	for from, last := uint64(0), false; !last; {
		var body []byte
		var p record.Page
		next := uint64(0)
		body, next, last = table.AppendPage(nil, 1, seq, from, size)
		if err := p.Parse(body); err != nil || p.From != from || p.To != next || p.Last != last {
			t.Fatalf("got page %+v, %v; want from %d to %d", p, err, from, next)
		}
		entries := 0
		if err := p.Entries(func(e *record.Entry) {
			entries++
			got[string(e.Key)] = *e
			bytes += len(e.Key) + len(e.Payload)
			hash += record.KeyHash(e.Key, e.Created)
		}); err != nil {
			t.Fatal(err)
		}
		if len(body) > size && entries > 1 {
			t.Fatalf("got a page of %d bytes with %d entries, want at most %d", len(body), entries, size)
		}
		from = next
	}
	if len(got) != len(want) || table.Len() != len(want) || table.Bytes() != bytes {
		t.Fatalf("got %d keys, %d bytes; the table has %d and %d; want %d",
			len(got), bytes, table.Len(), table.Bytes(), len(want))
	}
	for name, w := range want {
		if g := got[name]; g.Seq != w.Seq || g.Created != w.Created || g.Time != w.Time ||
			len(g.Payload) != len(w.Payload) {
			t.Fatalf("%s: got %+v, want %+v", name, g, w)
		}
	}
	if m := table.Manifest(1, seq, false); m.Hash != hash || m.Keys != uint64(len(want)) {
		t.Fatalf("got manifest %+v, want hash %x of %d keys", m, hash, len(want))
	}
	order := uint64(0)
	table.Range(func(key, _ []byte) bool {
		if want[string(key)].Created <= order {
			t.Fatalf("%s is out of order", key)
		}
		order = want[string(key)].Created
		return true
	})
}
