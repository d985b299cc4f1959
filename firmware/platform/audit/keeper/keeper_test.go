package keeper

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/audit"
)

// run has a keeper work for d of the simulated clock.
func run(k *Keeper, d time.Duration, meanwhile func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	meanwhile()
	time.Sleep(d)
	synctest.Wait()
	stop()
	<-done
}

// shownEvents is what the transmitter shows: an event is at its number mod 16.
type shownEvents map[uint64][]byte

func (p shownEvents) show(t *testing.T, k *Keeper) {
	t.Helper()
	for _, m := range k.Newest() {
		b, err := m.Encode()
		if err != nil {
			t.Error(err)
		}
		p[m.Entry.Number%shown] = b
	}
}

func (p shownEvents) messages() (list [][]byte) {
	for _, b := range p { // in any order
		list = append(list, b)
	}
	return list
}

func TestEventsCrossAndSurviveRestartsOfBothBoards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		there, here := t.TempDir(), t.TempDir()
		seen := shownEvents{}
		tx := Open(there, "tx", quiet)
		run(tx, time.Minute, func() {
			tx.Add("role_started", "heliotx starts")
			for range 3000 {
				tx.Add("login_refused", "wrong password")
			}
		})
		seen.show(t, tx)
		rx := Open(here, "rx", quiet)
		rx.AddRemote(seen.messages(), true)
		rx.Add("epoch_unanchored", "nothing is remembered")
		rx.Close() // it is away while the transmitter goes on, and starts again
		for range 9 {
			tx.Add("login_refused", "wrong password") // some are held when the run ends
		}
		tx.Close()
		tx = Open(there, "tx", quiet)
		run(tx, time.Minute, func() { tx.Add("role_started", "heliotx starts") })
		seen.show(t, tx)

		rx = Open(here, "rx", quiet)
		for range 3 {
			rx.AddRemote(seen.messages(), true)
		}
		rx.Close()
		rx = Open(here, "rx", quiet)
		rx.AddRemote(seen.messages(), true)
		var refused, ours uint64
		next := uint64(1)
		for _, e := range rx.Events() {
			switch {
			case e.Source == "rx":
				ours++
			case e.Number != next:
				t.Errorf("got number %d, want %d", e.Number, next)
			default:
				next++
				if e.Event == "login_refused" {
					refused += e.Count
				}
			}
		}
		if refused != 3009 || ours != 1 {
			t.Errorf("got %d wrong passwords at the receiver and %d events of its own, want 3009 and 1", refused, ours)
		}
	})
}

// The transmitter's disk takes nothing from some moment to its restart, so that it gives numbers again.
func TestEventsOfARunThatTheDiskDidNotKeepAreEachTaken(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for name, refused := range map[string]int{"few": 3, "more than are kept of their kind": 40} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				there := t.TempDir()
				rx := Open(t.TempDir(), "rx", quiet)
				cross := func(tx *Keeper) {
					time.Sleep(2 * time.Minute)
					seen := shownEvents{}
					seen.show(t, tx)
					rx.AddRemote(seen.messages(), false)
					rx.AddRemote(seen.messages(), true)
				}
				for _, refusals := range []int{refused, 0, 0} {
					tx := Open(there, "tx", quiet)
					run(tx, 0, func() {
						tx.Add("role_started", "heliotx starts")
						cross(tx)
						if refusals > 0 {
							tx.writing.Lock()
							tx.path = filepath.Join(there, "none", "audit")
							tx.writing.Unlock()
						}
						for range refusals {
							tx.Add("login_refused", "wrong password")
							cross(tx)
						}
						tx.Add("pair_key_changed", "to another")
						cross(tx)
					})
				}
				got := map[string]int{}
				for _, e := range rx.Events() {
					got[e.Source+" "+e.Event]++
				}
				want := map[string]int{"tx role_started": 3, "tx login_refused": min(refused, shown),
					"tx pair_key_changed": 3, "rx audit_gap": 1}
				if !maps.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		})
	}
}

func TestMissingEventsAreAnEvent(t *testing.T) {
	rx := Open(t.TempDir(), "rx", slog.New(slog.DiscardHandler))
	start := time.Now()
	message := func(trail string, n uint64) []byte {
		b, err := audit.Message{Trail: trail, Entry: audit.Event{Number: n, Time: start.Add(time.Duration(n)),
			Source: "tx", Category: audit.ControlSystem, Event: "epoch_lost", Result: audit.Failure,
			Count: 1}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	count := func(source string) (n int) {
		for _, e := range rx.Events() {
			if e.Source == source {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		name         string
		messages     [][]byte
		whole        bool
		theirs, gaps int
		missing      uint64
	}{
		{"the first ever", [][]byte{message("a", 5), message("a", 6)}, true, 2, 0, 0},
		{"one is on its way", [][]byte{message("a", 8), message("a", 6)}, false, 2, 0, 0},
		{"it has come", [][]byte{message("a", 8), message("a", 7)}, false, 4, 0, 0},
		{"two will not come", [][]byte{message("a", 11), message("a", 8)}, true, 5, 1, 2},
		{"damaged beside a good one", [][]byte{[]byte("damaged"), message("a", 12)}, true, 6, 1, 2},
		{"another trail beside the old", [][]byte{message("b", 1), message("a", 12)}, true, 7, 1, 2},
		{"again", [][]byte{message("b", 1), message("a", 12), []byte("damaged")}, true, 7, 1, 2},
	} {
		rx.AddRemote(step.messages, step.whole)
		if theirs, gaps := count("tx"), count("rx"); theirs != step.theirs || gaps != step.gaps ||
			rx.stats.Missing != step.missing {
			t.Errorf("%s: got %d events, %d gaps, %d missing; want %d, %d, %d", step.name, theirs, gaps,
				rx.stats.Missing, step.theirs, step.gaps, step.missing)
		}
	}
	if rx.stats.Unreadable != 1 {
		t.Errorf("got %d unreadable, want 1", rx.stats.Unreadable)
	}
}

func TestDamagedTrailIsAnEventAndDiskThatFailsIsAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "audit"), []byte("HGS1 and then nothing"), 0o600); err != nil {
			t.Fatal(err)
		}
		k := Open(folder, "rx", slog.New(slog.NewTextHandler(&log, nil)))
		if got := k.Events(); len(got) != 1 || got[0].Event != "audit_damaged" ||
			!strings.Contains(log.String(), "audit=audit_damaged") {
			t.Errorf("got %+v, log %s", got, log.String())
		}
		k.path = filepath.Join(folder, "none", "audit")
		handed := 0
		k.HandOn(func(audit.Message) { handed++ })
		run(k, 5*time.Second, func() { k.Add("epoch_lost", "x") })
		if k.Ready() == nil || k.stats.Unkept < 3 || handed != 2 {
			t.Errorf("got %v after %d writes that failed, %d handed on; want a reason, and both handed on", k.Ready(),
				k.stats.Unkept, handed)
		}
		k.path = filepath.Join(folder, "audit")
		run(k, 2*time.Second, func() {})
		if k.Ready() != nil {
			t.Errorf("got %v on a disk that works again, want nil", k.Ready())
		}
	})
}

// A flood writes the disk a few times, and the log as often.
func TestFloodIsQuietOnDiskAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := Open(t.TempDir(), "rx", slog.New(slog.NewTextHandler(&log, nil)))
		run(k, time.Second, func() {
			for range 3600 {
				k.AddCount("auth_failure", "frames", 20_000)
				time.Sleep(time.Second)
			}
		})
		if lines := strings.Count(log.String(), "\n"); lines > 30 {
			t.Errorf("got %d log lines of an hour's flood, want at most 30", lines)
		}
		if k.stats.Noted != 3600*20_000 {
			t.Errorf("got %d noted", k.stats.Noted)
		}
		// Without an orderly end what was added up in the last minute is missing, and no more.
		var count uint64
		for _, e := range Open(filepath.Dir(k.path), "rx", slog.New(slog.DiscardHandler)).Events() {
			count += e.Count
		}
		if lost := 3600*20_000 - count; lost > 61*20_000 {
			t.Errorf("got %d of %d after the power was cut, want all but a minute's", count, 3600*20_000)
		}
		k.Close()
	})
}

func TestSameEventIsNotedOnceOverRestarts(t *testing.T) {
	folder := t.TempDir()
	for range 3 {
		k := Open(folder, "rx", slog.New(slog.DiscardHandler))
		k.AddOnce("update_kept", "release 8, at noon")
		k.AddOnce("update_kept", "release 8, at noon")
		k.Close()
	}
	if got := Open(folder, "rx", slog.New(slog.DiscardHandler)).Events(); len(got) != 1 {
		t.Errorf("got %+v, want one event", got)
	}
}
