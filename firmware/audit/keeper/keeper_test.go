package keeper

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/audit"
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

func TestEventsCrossAndSurviveRestartsOfBothBoards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		there, here := t.TempDir(), t.TempDir()
		var wire [][]byte
		start := func() *Keeper {
			tx := Open(there, "tx", quiet)
			tx.HandOn(func(m audit.Message) {
				b, err := m.Encode()
				if err != nil {
					t.Error(err)
				}
				wire = append(wire, b)
			})
			return tx
		}
		tx := start()
		run(tx, time.Minute, func() {
			tx.Add("role_started", "heliotx starts")
			for range 3000 {
				tx.Add("login_refused", "wrong password")
			}
		})
		for range 9 {
			tx.Add("login_refused", "wrong password") // some are held when the run ends
		}
		tx.Close()
		tx = start()
		run(tx, time.Minute, func() { tx.Add("role_started", "heliotx starts") })
		tx.Close()

		rx := Open(here, "rx", quiet)
		for _, b := range wire {
			rx.Take(b)
			rx.Take(b) // what a receiver that died hears again
		}
		rx.Add("epoch_unanchored", "nothing is remembered")
		rx.Close()
		rx = Open(here, "rx", quiet)
		var refused uint64
		next := uint64(1)
		for _, e := range rx.Events() {
			switch {
			case e.Event == "audit_gap":
				t.Errorf("got %+v, want no gap", e)
			case e.Source == "tx":
				if e.Number != next {
					t.Errorf("got number %d, want %d", e.Number, next)
				}
				next++
				if e.Event == "login_refused" {
					refused += e.Count
				}
			}
		}
		if refused != 3009 {
			t.Errorf("got %d wrong passwords at the receiver, want 3009", refused)
		}
		// One of ours, and what was taken from the other board.
		if got := rx.Events(); got[len(got)-1].Event != "epoch_unanchored" || got[len(got)-1].Source != "rx" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestMissingEventsAreAnEvent(t *testing.T) {
	rx := Open(t.TempDir(), "rx", slog.New(slog.DiscardHandler))
	for _, n := range []uint64{5, 6, 9} {
		b, err := audit.Message{Trail: "a", Entry: audit.Event{Number: n, Time: time.Now(), Source: "tx", Category: audit.ControlSystem, Event: "epoch_lost", Result: audit.Failure, Count: 1}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		rx.Take(b)
	}
	rx.Take([]byte("damaged"))
	var texts []string
	for _, e := range rx.Events() {
		if e.Event == "audit_gap" {
			texts = append(texts, e.Text)
		}
	}
	if len(texts) != 1 || !strings.HasPrefix(texts[0], "2 events") || rx.stats.Missing != 2 || rx.stats.Unreadable != 1 {
		t.Errorf("got %q, %+v; want one gap of 2", texts, rx.stats)
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
		if got := k.Events(); len(got) != 1 || got[0].Event != "audit_damaged" || !strings.Contains(log.String(), "audit=audit_damaged") {
			t.Errorf("got %+v, log %s", got, log.String())
		}
		k.path = filepath.Join(folder, "none", "audit")
		handed := 0
		k.HandOn(func(audit.Message) { handed++ })
		run(k, 5*time.Second, func() { k.Add("epoch_lost", "x") })
		if k.Ready() == nil || k.stats.Unkept < 3 || handed != 2 {
			t.Errorf("got %v after %d writes that failed, %d handed on; want a reason, and both handed on", k.Ready(), k.stats.Unkept, handed)
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
