package epoch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Unix(base+1000, 0)

func next(t *testing.T, dir string, want uint64, wantLost bool) {
	t.Helper()
	got := Next(dir, noon)
	if err := got.Ready(); err != nil || got.Epoch != want || got.Lost != wantLost {
		t.Errorf("got %d, lost %v, %v; want %d, lost %v", got.Epoch, got.Lost, err, want, wantLost)
	}
}

func TestEpochsRise(t *testing.T) {
	dir := t.TempDir()
	for want := range uint64(3) {
		next(t, dir, want+1, false)
	}
	if got, err := Kept(dir); err != nil || got != 3 {
		t.Errorf("kept: got %d, %v, want 3", got, err)
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

// TestAnEpochThatWasNotKept: two runs while the disk is read-only, and those after it.
func TestAnEpochThatWasNotKeptIsNotUsedAgain(t *testing.T) {
	dir := t.TempDir()
	next(t, dir, 1, false)
	for _, name := range copies { // its temporary file cannot be made
		if err := os.MkdirAll(filepath.Join(dir, name+".tmp", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first, second := Next(dir, noon), Next(dir, noon.Add(time.Minute))
	if first.Ready() == nil || first.Epoch <= 2 || second.Epoch <= first.Epoch {
		t.Errorf("got %d (%v), then %d, want numbers that rise and are not kept",
			first.Epoch, first.Ready(), second.Epoch)
	}
	for _, name := range copies {
		if err := os.RemoveAll(filepath.Join(dir, name+".tmp")); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = second.Run(ctx) }()
		time.Sleep(2 * retry)
		cancel()
	})
	if err := second.Ready(); err != nil {
		t.Errorf("when the disk takes it: %v", err)
	}
	next(t, dir, second.Epoch+1, false)
}

// TestAnUnreadableEpoch: what cannot be read may be higher than anything written now.
func TestUnreadableEpochIsNotReset(t *testing.T) {
	dir := t.TempDir()
	for _, name := range copies {
		if err := os.Symlink(name, filepath.Join(dir, name)); err != nil { // ELOOP
			t.Fatal(err)
		}
	}
	if got := Next(dir, noon); got.Ready() == nil || got.Epoch != 1001 || got.Lost {
		t.Errorf("got %d, lost %v, %v", got.Epoch, got.Lost, got.Ready())
	}
}
