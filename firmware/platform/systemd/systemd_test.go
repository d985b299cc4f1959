package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
)

// sent runs a task for a time, and returns what it sent.
func sent(t *testing.T, length time.Duration, evidence func(second uint64) health.Evidence) (list []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), length)
		defer stop()
		second := uint64(0)
		task := &Task{Log: slog.New(slog.DiscardHandler),
			Notify: func(s string) error { list = append(list, s); return nil },
			Make:   func() report.Report { second++; return report.Report{Evidence: evidence(second)} }}
		if err := task.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return list
}

func TestARoleThatWorksIsReadyOnceAndFeedsTheWatchdogEachSecond(t *testing.T) {
	got := sent(t, 2500*time.Millisecond, func(second uint64) health.Evidence {
		e := health.Evidence{Steps: map[string]uint64{"link": second}}
		if second > 1 {
			e.Down = []string{"cell-1: refused\nSTATUS=GOOD"}
		}
		return e
	})
	want := []string{"READY=1\nWATCHDOG=1\nSTATUS=GOOD", "WATCHDOG=1\nSTATUS=PEER DOWN: cell-1: refused STATUS=GOOD",
		"WATCHDOG=1", "STOPPING=1"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAPartWithoutProgressStarvesTheWatchdog(t *testing.T) {
	got := sent(t, health.ProgressTimeout+5*time.Second, func(second uint64) health.Evidence {
		return health.Evidence{Steps: map[string]uint64{"link": 1, "status": second}}
	})
	fed, stuck := 0, false
	for _, s := range got {
		if strings.Contains(s, "WATCHDOG=1") {
			fed++
		}
		stuck = stuck || strings.Contains(s, "STATUS=STUCK: link makes no progress")
	}
	if want := int(health.ProgressTimeout / time.Second); fed != want || !stuck {
		t.Errorf("fed %d times, shown as stuck %t; want %d, true: %q", fed, stuck, want, got)
	}
}

// What could not be said is said later; the role runs on.
func TestAServiceManagerThatDoesNotListenHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer stop()
		var calls atomic.Int64
		var last string
		task := &Task{Log: slog.New(slog.DiscardHandler), Make: func() report.Report { return report.Report{} },
			Notify: func(s string) error {
				if calls.Add(1) < 3 {
					return errors.New("away")
				}
				if last == "" {
					last = s
				}
				return nil
			}}
		if err := task.Run(ctx); err != nil || last != "READY=1\nWATCHDOG=1\nSTATUS=GOOD" {
			t.Errorf("got %v, %q; want the state at the third time", err, last)
		}
	})
}

func TestSocketSendsDatagrams(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if Socket() != nil {
		t.Error("got a socket, and no variable names one")
	}
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	if err := Socket()("READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("got %q, %v; want READY=1", b[:n], err)
	}
}

func TestAStateIsOneLineOfBoundedLength(t *testing.T) {
	got := statusLine(health.Verdict{State: health.Good, Reason: strings.Repeat("ü\x1b[2J\n", 1000)})
	if len(got) > mostStatus || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
		t.Errorf("got %d bytes, %q", len(got), got)
	}
}
