package epoch

import (
	"os"
	"path/filepath"
	"testing"
)

func next(t *testing.T, dir string, want uint64, wantLost bool) {
	t.Helper()
	got, lost, err := Next(dir)
	if err != nil || got != want || lost != wantLost {
		t.Errorf("got %d, lost %v, %v; want %d, lost %v", got, lost, err, want, wantLost)
	}
}

func TestEpochsRise(t *testing.T) {
	dir := t.TempDir()
	for want := range uint64(3) {
		next(t, dir, want+1, false)
	}
}

func TestOneCopyIsEnough(t *testing.T) {
	for _, name := range copies {
		for what, harm := range map[string]func(string) error{
			"removed": os.Remove,
			"damaged": func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				dir := t.TempDir()
				next(t, dir, 1, false)
				next(t, dir, 2, false)
				if err := harm(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				next(t, dir, 3, false)
			})
		}
	}
}

func TestBothCopiesLost(t *testing.T) {
	dir := t.TempDir()
	next(t, dir, 1, false)
	next(t, dir, 2, false)
	for _, name := range copies {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next(t, dir, 1, true)
}

func TestNoFrameWithoutAKeptEpoch(t *testing.T) {
	if _, _, err := Next(filepath.Join(t.TempDir(), "file", "below")); err == nil {
		t.Error("an epoch that cannot be kept was given out")
	}
}
