package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"heliograph/boards"
	"heliograph/drivers/led"
	"heliograph/drivers/watchdog"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
)

// Our own choices.
const (
	lookEvery = time.Second
	// watchdogTime is what the BCM2835's watchdog can do at most.
	watchdogTime = 15 * time.Second
)

// vitals follows how the role stands, and shows it. Safe for concurrent use.
type vitals struct {
	log   *slog.Logger
	start time.Time

	mu       sync.Mutex
	judge    health.Judge
	newest   report.Report
	verdict  health.Verdict
	refusals int
}

func newVitals(log *slog.Logger) *vitals { return &vitals{log: log, start: time.Now()} }

func (v *vitals) now() time.Duration { return time.Since(v.start) }

func (v *vitals) started() { v.mu.Lock(); defer v.mu.Unlock(); v.judge.Started(v.now()) }

func (v *vitals) ended(why string) { v.mu.Lock(); defer v.mu.Unlock(); v.judge.Ended(v.now(), why) }

func (v *vitals) invalid(why string) { v.mu.Lock(); defer v.mu.Unlock(); v.judge.Invalid(why) }

func (v *vitals) report(r report.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newest = r
	v.judge.Report(v.now(), r.Evidence)
}

// refused notes a report that is none. It says so once: a role that was taken
// over could fill the log.
func (v *vitals) refused(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.refusals++; v.refusals == 1 {
		v.log.Error("the role's report is refused: " + err.Error())
	}
}

// stand returns the newest verdict and report.
func (v *vitals) stand() (health.Verdict, report.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.verdict, v.newest
}

// look judges, and logs when the state changes.
func (v *vitals) look() health.Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.verdict.State
	v.verdict = v.judge.Verdict(v.now())
	if v.verdict.State != before {
		level := slog.LevelInfo
		if v.verdict.Alarm || !v.verdict.Feed {
			level = slog.LevelError
		}
		v.log.Log(context.Background(), level, "state "+string(v.verdict.State), "reason", v.verdict.Reason)
	}
	return v.verdict
}

// Run shows and feeds until ctx ends. The watchdog is armed here, before the
// role starts: a board that hangs in its start is reset too. At the end it is
// stopped, because an orderly end takes its time.
func (v *vitals) Run(ctx context.Context, b boards.Board) {
	beat := v.lamp(ctx, b.Heartbeat)
	link := v.lamp(ctx, b.LinkLED)
	dog := v.dog(b.Watchdog)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		verdict := v.look()
		beat(verdict.Pattern)
		link(linkPattern(verdict))
		if dog != nil && verdict.Feed {
			if err := dog.Feed(); err != nil {
				v.log.Error(err.Error())
			}
		}
		select {
		case <-ctx.Done():
			if dog != nil {
				if err := dog.Close(); err != nil {
					v.log.Error(err.Error())
				}
			}
			return
		case <-tick.C:
		}
	}
}

// linkPattern is steady light while frames come and go.
func linkPattern(v health.Verdict) []time.Duration {
	switch v.State {
	case health.PeerDown, health.Waiting, health.Degraded, health.Good:
		return []time.Duration{time.Second}
	}
	return nil
}

// lamp plays on an LED until ctx ends. A board without it goes on in the dark.
func (v *vitals) lamp(ctx context.Context, l boards.Line) (show func([]time.Duration)) {
	if l == (boards.Line{}) {
		return func([]time.Duration) {}
	}
	lamp, err := led.Open(l.Chip, l.Number)
	if err != nil {
		v.log.Error(err.Error())
		return func([]time.Duration) {}
	}
	go func() {
		if err := lamp.Run(ctx); err != nil {
			v.log.Error(err.Error())
		}
	}()
	return lamp.Show
}

func (v *vitals) dog(device string) *watchdog.Watchdog {
	if device == "" {
		v.log.Warn("no watchdog: this board resets by hand alone")
		return nil
	}
	w, err := watchdog.Open(device, watchdogTime)
	if err != nil {
		v.log.Error("no watchdog, this board resets by hand alone: " + err.Error())
		return nil
	}
	v.log.Info("watchdog armed", "timeout", w.Timeout().String())
	return w
}
