package spool

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"heliograph/firmware/platform/store"
)

func TestGoldenPosition(t *testing.T) {
	if got := hex.EncodeToString(encodePosition(0x0102, stillOpen)); got != "000000000000010201" {
		t.Errorf("open: got %s", got)
	}
	if got := hex.EncodeToString(encodePosition(0x0102, 3)); got != "0000000000000102000000000000000003" {
		t.Errorf("closed: got %s", got)
	}
}

func TestAPositionShowsHowTheQueueEnded(t *testing.T) {
	for _, test := range []struct {
		name     string
		content  []byte // nil: no file
		position uint64
		waiting  int
		unknown  uint64
	}{
		{"a new queue", nil, 0, 0, 0},
		{"closed", encodePosition(7, 3), 7, 3, 0},
		{"not closed", encodePosition(7, stillOpen), 7, stillOpen, 1},
		{"of another length", []byte{1}, 0, stillOpen, 1},
	} {
		q := &Queue{dir: t.TempDir()}
		if test.content != nil {
			if err := store.Write(filepath.Join(q.dir, positionName), test.content); err != nil {
				t.Fatal(err)
			}
		}
		got, waiting := q.readPosition()
		if got != test.position || waiting != test.waiting || q.unknown != test.unknown {
			t.Errorf("%s: got position %d, %d waiting and %d gaps, want %d, %d and %d", test.name, got, waiting,
				q.unknown, test.position, test.waiting, test.unknown)
		}
	}
}

// TestTheWriterAloneRemovesFiles has a full queue and a consumer: neither waits for a disk that takes
// seconds to remove a file, for the link waits for them.
func TestTheWriterAloneRemovesFiles(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 64<<10)
	byHand(q)
	q.PeerDown(true)
	for i := range 200 { // more than the limit, so that the oldest segments are dropped
		q.Append(record(i, 1000))
		q.w.write()
	}
	q.Append(record(200, 20_000))
	if q.Stats().Dropped == 0 {
		t.Fatalf("nothing was dropped: %+v", q.Stats())
	}
	check := func(when string, waiting bool) {
		t.Helper()
		taken, files := len(q.toRemove), len(segments(t, dir))
		if waiting != (taken > 0) || files != taken+len(q.segs) {
			t.Errorf("%s: %d files, of which %d wait to be removed and %d are in use", when, files, taken, len(q.segs))
		}
	}
	check("the oldest were dropped", true)
	q.w.write()
	check("the writer ran", false)
	q.PeerDown(false)
	takeAll(t, q)
	check("all was delivered", true)
	if err := q.Close(); err != nil || len(segments(t, dir)) != 0 {
		t.Errorf("closed with %v: %d files, want none", err, len(segments(t, dir)))
	}
}
