// Package golden compares what a test made with a file in testdata. With the flag
// -write the test writes the file instead, to be reviewed as a change of a format.
package golden

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var write = flag.Bool("write", false, "rewrite the golden files in testdata")

const shown = 256 // bytes of a difference

// Compare compares bytes with those of a file in testdata.
func Compare(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *write {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, %v; want the %d of the file:\n%s",
			name, len(got), err, len(want), hex.Dump(got[:min(len(got), shown)]))
	}
}
