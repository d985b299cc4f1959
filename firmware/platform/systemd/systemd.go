// Package systemd tells the service manager of a Linux host how a role does, by the
// datagrams of sd_notify(3):
//
//	READY=1                       once the role has given its first report
//	STATUS=PEER DOWN: cell-1: …   when the state has changed: what systemctl status shows
//	WATCHDOG=1                    each second, from what feeds a board's watchdog
//	STOPPING=1                    when it ends
//
// The watchdog is fed from the judgement of package health alone: a role whose parts make
// no progress is restarted by the service manager (WatchdogSec), one whose peers are away
// is not. Where NOTIFY_SOCKET is not set, as on a board, the package does nothing.
package systemd

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/text"
)

const (
	every      = time.Second
	mostStatus = 512 // bytes of a state in words
)

// Notify sends one datagram of KEY=VALUE lines to the service manager.
type Notify func(lines string) error

// Socket returns what sends to NOTIFY_SOCKET, and nil where that is not set.
func Socket() Notify {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	return func(lines string) error {
		_, err := daemon.SdNotify(false, lines)
		return err
	}
}

// Task notifies the service manager until it is ended. It asks the role for a report
// each second: a part of it that never releases its lock keeps the watchdog from being
// fed.
type Task struct {
	Notify Notify
	Make   func() report.Report
	Log    *slog.Logger
}

// String names the task.
func (t *Task) String() string { return "systemd" }

// Ready returns nil: a service manager that does not listen holds up nothing.
func (t *Task) Ready() error { return nil }

// Run notifies until ctx ends.
func (t *Task) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	start := time.Now()
	var judge health.Judge
	judge.Started(0)
	var shown string
	ready, failed := false, false
	for {
		now := time.Since(start)
		judge.Report(now, t.Make().Evidence)
		lines, status := message(judge.Verdict(now), ready, shown)
		if lines != "" {
			err := t.Notify(lines)
			if err != nil && !failed {
				t.Log.Warn("the service manager is not informed", "error", err)
			}
			if failed = err != nil; !failed {
				ready, shown = true, status
			}
		}
		select {
		case <-ctx.Done():
			_ = t.Notify(daemon.SdNotifyStopping) // it ends in any case
			return nil
		case <-tick.C:
		}
	}
}

// message returns what to send, and the state that it shows.
func message(v health.Verdict, ready bool, shown string) (lines, status string) {
	status = statusLine(v)
	var list []string
	if !ready {
		list = append(list, daemon.SdNotifyReady)
	}
	if v.Feed {
		list = append(list, daemon.SdNotifyWatchdog)
	}
	if status != shown {
		list = append(list, "STATUS="+status)
	}
	return strings.Join(list, "\n"), status
}

// statusLine is a verdict as one line without controls.
func statusLine(v health.Verdict) string {
	s := string(v.State)
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.ToValidUTF8(text.Clip(s, mostStatus), "")
}
