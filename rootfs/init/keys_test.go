package main

import (
	"bufio"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config/pairkey"
)

func TestARoleIsHandedItsKeysAndWhatTheyAreChangedTo(t *testing.T) {
	dir := t.TempDir()
	file, state := filepath.Join(dir, "pair.key"), filepath.Join(dir, "keys")
	first, second := pairkey.New(), pairkey.New()
	if err := pairkey.Create(file, first); err != nil {
		t.Fatal(err)
	}
	r := &role{key: file, log: slog.New(slog.DiscardHandler)}
	for range 2 { // a role that ended is started again
		theirs, err := r.handKeys()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(theirs)
		said := func(key [pairkey.Size]byte) {
			t.Helper()
			line, err := lines.ReadString('\n')
			if want := strings.TrimSpace(string(pairkey.Format(key))); err != nil || !strings.Contains(line, want) {
				t.Errorf("got %q, %v, want the key %s", line, err, want)
			}
		}
		said(first)
		use, err := pairkey.Change(file, state, second, time.Now(), time.Hour)
		if err == nil {
			err = r.changeKeys(use)
		}
		if err != nil {
			t.Fatal(err)
		}
		said(second)
		r.endKeys()
		if line, err := lines.ReadString('\n'); err == nil {
			t.Errorf("after the role: got %q, want the end", line)
		}
		theirs.Close()
		second = pairkey.New()
	}
	if err := r.changeKeys(pairkey.Use{}); err != nil {
		t.Errorf("a role that does not run: %v", err)
	}
}

func TestAReaderThatIsGoneHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pair.key")
	if err := pairkey.Create(file, pairkey.New()); err != nil {
		t.Fatal(err)
	}
	r := &role{key: file, log: slog.New(slog.DiscardHandler)}
	theirs, err := r.handKeys()
	if err != nil {
		t.Fatal(err)
	}
	defer r.endKeys()
	theirs.Close()
	if err := r.changeKeys(pairkey.Use{Memory: "aa"}); err != nil {
		t.Errorf("got %v, want nil: its next start has them", err)
	}
}
