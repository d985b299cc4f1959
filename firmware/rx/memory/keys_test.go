package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/firmware/platform/store"
)

// recalled returns the keys that a run after this moment would have.
func recalled(t *testing.T, dir string) []string {
	t.Helper()
	_, before := open(t, dir, "k1").Keys("cell-1")
	return texts(before)
}

func texts(keys [][]byte) (list []string) {
	for _, key := range keys {
		list = append(list, string(key))
	}
	slices.Sort(list)
	return list
}

func lines(keys ...string) (list [][]byte) {
	for _, key := range keys {
		list = append(list, []byte(key))
	}
	return list
}

func TestAKeyIsRememberedFromTheMomentItIsAdded(t *testing.T) {
	dir := t.TempDir()
	k, before := open(t, dir, "k1").Keys("cell-1")
	if before != nil {
		t.Errorf("before the first: got %q", before)
	}
	want := []string{"", "a/b", "c"}
	for range 3 {
		for _, key := range want {
			k.Add([]byte(key))
		}
	}
	// No Keep and no Close: a kill.
	if got := recalled(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if info, err := os.Stat(filepath.Join(dir, "added-cell-1.0")); err != nil ||
		info.Size() != int64(3*keyHeader+len("a/bc")) {
		t.Errorf("the log has %d bytes, %v, want each key once", info.Size(), err)
	}
	k, before = open(t, dir, "k1").Keys("cell-1")
	k.Add([]byte("d"))
	k.Keep(true, func() [][]byte { return append(before, []byte("d")) })
	if got := recalled(t, dir); !slices.Equal(got, append(want, "d")) {
		t.Errorf("after an orderly end: got %q", got)
	}
}

// TestKeysThatComeWhileTheListIsWritten adds keys at each moment of a Keep.
func TestKeysThatComeWhileTheListIsWritten(t *testing.T) {
	dir := t.TempDir()
	k, _ := open(t, dir, "k1").Keys("cell-1")
	set := []string{"stays", "goes"}
	for _, key := range set {
		k.Add([]byte(key))
	}
	k.Keep(true, func() [][]byte { return lines(set...) })
	k.Add([]byte("one"))
	k.Keep(true, func() [][]byte {
		list := lines("stays", "one") // goes went
		k.Add([]byte("new"))
		k.Add([]byte("goes")) // and came again
		return list
	})
	want := []string{"goes", "new", "one", "stays"}
	if got := recalled(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	k.Keep(true, func() [][]byte { return lines("stays", "one", "new") })
	if got := recalled(t, dir); !slices.Equal(got, []string{"new", "one", "stays"}) {
		t.Errorf("the next list: got %q, want what went away left out", got)
	}
	k.Add([]byte("goes"))
	if got := recalled(t, dir); !slices.Contains(got, "goes") {
		t.Errorf("a key that came back after it had left the list: got %q", got)
	}
}

func TestAListIsWrittenOnlyWhenItPays(t *testing.T) {
	k, _ := open(t, t.TempDir(), "k1").Keys("cell-1")
	written := 0
	keep := func() { k.Keep(false, func() [][]byte { written++; return nil }) }
	keep()
	k.Add([]byte("x"))
	keep()
	if written != 0 {
		t.Errorf("a few bytes: got %d lists, want none", written)
	}
	for n := range 700 {
		k.Add([]byte(strings.Repeat(fmt.Sprint(n%10), 100) + fmt.Sprint(n)))
	}
	keep()
	keep()
	if written != 1 {
		t.Errorf("70 kB: got %d lists, want one", written)
	}
}

func TestATornAdditionCostsItselfOnly(t *testing.T) {
	dir := t.TempDir()
	k, _ := open(t, dir, "k1").Keys("cell-1")
	for _, key := range []string{"one", "two", "three"} {
		k.Add([]byte(key))
	}
	path := filepath.Join(dir, "added-cell-1.0")
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range all {
		for _, tail := range [][]byte{nil, make([]byte, 40)} { // missing, or zeros
			if err := os.WriteFile(path, append(all[:cut:cut], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			k, before := open(t, dir, "k1").Keys("cell-1")
			k.Add([]byte("later"))
			if got := recalled(t, dir); len(got) != len(before)+1 || !slices.Contains(got, "later") {
				t.Fatalf("cut at %d: got %q, want %q and later", cut, got, before)
			}
		}
	}
}

func TestKeysAreListedWhenTheDiskTakesThemAgain(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "gone"), "k1")
	k, _ := f.Keys("cell-1")
	k.Add([]byte("a"))
	all := func() [][]byte { return lines("a") }
	k.Keep(false, all)
	if f.Storage() == nil {
		t.Error("storage: got nil, want an error")
	}
	if err := store.Folder(f.dir); err != nil {
		t.Fatal(err)
	}
	k.Keep(false, all)
	if reasons := f.Storage(); reasons != nil {
		t.Errorf("when the disk is back: got %v", reasons)
	}
	if got := recalled(t, f.dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q", got)
	}
}
