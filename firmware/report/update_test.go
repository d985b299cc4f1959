package report

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestUpdateAppearsWholeOrNotAtAll(t *testing.T) {
	state := t.TempDir()
	keep, folder := Update(state), filepath.Join(state, "update")
	broken := errors.New("connection reset")
	if err := keep(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if files, err := os.ReadDir(folder); len(files) != 0 || err != nil {
		t.Errorf("after a broken one: got %v, %v; want nothing left", files, err)
	}
	if err := keep(strings.NewReader("all of it")); err != nil {
		t.Fatal(err)
	}
	if err := keep(strings.NewReader("another")); err == nil {
		t.Error("one that waits was replaced")
	}
	if got, err := os.ReadFile(filepath.Join(folder, "incoming")); string(got) != "all of it" || err != nil {
		t.Errorf("got %q, %v; want all of it", got, err)
	}
}
