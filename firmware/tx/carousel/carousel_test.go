package carousel

import (
	"encoding/binary"
	"testing"
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
