package logring

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
)

// contains reports whether one of the newest lines contains all of the words.
func contains(r *Ring, words ...string) bool {
	for _, line := range r.Tail(kept) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}

// A pipe that no one reads is a card that stalls: its opening does not return.
func TestCardThatStallsHoldsUpNoOneWhoLogs(t *testing.T) {
	folder := t.TempDir()
	var r Ring
	if err := r.Attach(folder, 1<<30, logTo(&r)); err != nil {
		t.Fatal(err)
	}
	card := filepath.Join(folder, "log.0")
	if err := unix.Mkfifo(card, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 2 * queuedLines {
			fmt.Fprintf(&r, "line %d\n", i)
		}
	}()
	select {
	case <-written:
	case <-time.After(await.Bound):
		t.Fatal("a log line waits for the card")
	}
	if !contains(&r, fmt.Sprintf("line %d", 2*queuedLines-1)) {
		t.Error("memory lacks the newest line")
	}
	f, err := os.Open(card) // the card goes on
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	go func() { _, _ = f.WriteTo(discard{}) }()
	await.True(t, "the log says that lines are missing on the card", func() bool {
		return contains(&r, "missing on the card")
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// discard takes what a card is given.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestCardThatFailsIsLoggedOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "log")
		var r Ring
		if err := r.Attach(folder, 1<<20, logTo(&r)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(folder); err != nil { // what is written fails from now on
			t.Fatal(err)
		}
		for i := range 5 * 60 {
			fmt.Fprintf(&r, "line %d\n", i)
			time.Sleep(time.Second)
		}
		if got := strings.Count(strings.Join(r.Tail(kept), "\n"), "log not written to the card"); got != 1 {
			t.Errorf("got %d lines that the log is not written to the card, want 1", got)
		}
		if !contains(&r, "level=ERROR", "no such file") || !contains(&r, "line 299") {
			t.Errorf("got %q, want the reason, and all lines in memory", r.Tail(kept))
		}
		if err := os.Mkdir(folder, 0o700); err != nil { // the card works again
			t.Fatal(err)
		}
		time.Sleep(retryInterval)
		fmt.Fprint(&r, "works again\n")
		synctest.Wait()
		if !contains(&r, "missing on the card", "lines=301") { // with the one about the error
			t.Errorf("got %q, want how many lines are missing on the card", r.Tail(3))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		b, err := os.ReadFile(filepath.Join(folder, "log.0"))
		if err != nil || !strings.HasPrefix(string(b), "works again\n") {
			t.Errorf("got %q on the card and %v, want the line after the error", b, err)
		}
	})
}

func TestCloseTellsWhyTheCardFails(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "log")
	var r Ring
	if err := r.Attach(folder, 1<<20, logTo(&r)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&r, "a\n")
	if err := r.Close(); err == nil {
		t.Error("Close: got nil, want why lines are not kept")
	}
}
