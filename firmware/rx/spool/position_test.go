package spool

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"heliograph/firmware/platform/store"
)

func TestGoldenPosition(t *testing.T) {
	if got := hex.EncodeToString(encodePosition(0x0102, true)); got != "000000000000010201" {
		t.Errorf("open: got %s", got)
	}
	if got := hex.EncodeToString(encodePosition(0x0102, false)); got != "000000000000010200" {
		t.Errorf("closed: got %s", got)
	}
}

func TestAPositionShowsHowTheQueueEnded(t *testing.T) {
	for _, test := range []struct {
		name     string
		content  []byte // nil: no file
		position uint64
		unknown  uint64
	}{
		{"a new queue", nil, 0, 0},
		{"closed", encodePosition(7, false), 7, 0},
		{"not closed", encodePosition(7, true), 7, 1},
		{"of another length", []byte{1}, 0, 1},
	} {
		q := &Queue{dir: t.TempDir()}
		if test.content != nil {
			if err := store.Write(filepath.Join(q.dir, positionName), test.content); err != nil {
				t.Fatal(err)
			}
		}
		if got := q.readPosition(); got != test.position || q.unknown != test.unknown {
			t.Errorf("%s: got position %d and %d gaps, want %d and %d", test.name, got, q.unknown, test.position,
				test.unknown)
		}
	}
}
