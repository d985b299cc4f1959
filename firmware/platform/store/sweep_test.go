package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestSweepRemovesWhatPowerCutsLeft(t *testing.T) {
	now := time.Now()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "folder.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{
		"epoch.a": time.Hour, "epoch.a.tmp": time.Hour, "pki/.own.der.7.tmp": 2 * time.Minute,
		"pki/.being-written.9.tmp": time.Second,
		"ahead.tmp":                -time.Hour, "tmp": time.Hour,
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if freed := Sweep(folder, now); freed != 300 {
		t.Errorf("got %d bytes freed, want 300", freed)
	}
	var left []string
	for _, pattern := range []string{"*", "pki/*", "pki/.*"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if name, err := filepath.Rel(folder, f); err == nil && !slices.Contains(left, name) {
				left = append(left, name)
			}
		}
	}
	slices.Sort(left)
	if want := []string{"epoch.a", "folder.tmp", "pki", "pki/.being-written.9.tmp", "tmp"}; !slices.Equal(left, want) {
		t.Errorf("got %q left, want %q", left, want)
	}
	if Sweep(filepath.Join(folder, "none"), now) != 0 {
		t.Error("a folder that is not there freed something")
	}
}
