package supervisor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
)

// judgeInterval is how often the role's state is judged. Our own choice, far below
// the time-out of any watchdog.
const judgeInterval = time.Second

// endTime is how long the orderly end of a board may take: the role ends within
// terminateTime, and an update that is being installed takes a minute or two. Our own choice.
const endTime = 3 * time.Minute

// queuedNotes are the lines that wait for a log that stalls.
const queuedNotes = 16

// Lamp shows a pattern of an LED until it is given another one.
type Lamp interface {
	Show(pattern []time.Duration)
}

// Lamps show one pattern together.
type Lamps []Lamp

// Show implements Lamp.
func (l Lamps) Show(pattern []time.Duration) {
	for _, one := range l {
		one.Show(pattern)
	}
}

// Watchdog resets the board unless it is fed in time.
type Watchdog interface {
	Feed() error
}

// Outputs show the role's state outside the machine; nil where the board has none.
type Outputs struct {
	Heartbeat Lamp // the role's state
	Link      Lamp // steady light while the link works
	Watchdog  Watchdog
}

// Vitals judges the role from the evidence of progress in its reports, and feeds
// the watchdog while there is such evidence. Safe for concurrent use.
type Vitals struct {
	log   *slog.Logger
	start time.Time

	mu       sync.Mutex
	judge    health.Judge
	newest   report.Report
	verdict  health.Verdict
	why      cause.Cause // why the role ended last, while it does not run
	refusals int         // reports that were refused
}

// NewVitals returns the vitals of a board that starts now.
func NewVitals(log *slog.Logger) *Vitals { return &Vitals{log: log, start: time.Now()} }

// Uptime returns the time since the start of the board.
func (v *Vitals) Uptime() time.Duration { return time.Since(v.start) }

// Current returns the newest verdict and report.
func (v *Vitals) Current() (health.Verdict, report.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.verdict, v.newest
}

// Run judges, feeds and shows until ctx ends, which begins the orderly end of the board.
// From then on it feeds for endTime, even if the role is stuck, and returns. It never stops
// the watchdog, so that a card on which the end hangs cannot leave the board dark. A reset
// is simpler than a restart by the kernel, which would wait for the same card. Where the
// board was to be off, it starts again.
//
// What it logs another goroutine writes: a log that stalls must not stop the feeding.
func (v *Vitals) Run(ctx context.Context, o Outputs) {
	notes := make(chan func(), queuedNotes)
	defer close(notes)
	go func() {
		for note := range notes {
			note()
		}
	}()
	tick := time.NewTicker(judgeInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		v.step(o, notes)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if o.Watchdog == nil {
		return
	}
	for end := time.Now().Add(endTime); time.Now().Before(end); <-tick.C {
		_ = o.Watchdog.Feed()
	}
}

// step judges, feeds and shows once. What it has to log goes to notes, as far as there is
// room.
func (v *Vitals) step(o Outputs, notes chan<- func()) {
	verdict, changed := v.update()
	say := func(note func()) {
		select {
		case notes <- note:
		default:
		}
	}
	if o.Watchdog != nil && verdict.Feed {
		if err := o.Watchdog.Feed(); err != nil {
			say(func() { v.log.Error("watchdog not fed", "error", err) })
		}
	}
	if o.Heartbeat != nil {
		o.Heartbeat.Show(verdict.Pattern)
	}
	if o.Link != nil {
		o.Link.Show(linkPattern(verdict.State))
	}
	if changed {
		say(func() { v.logState(verdict) })
	}
}

// update judges, and reports whether the state has changed.
func (v *Vitals) update() (verdict health.Verdict, changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.verdict.State
	v.verdict = v.judge.Verdict(v.Uptime())
	return v.verdict, v.verdict.State != before
}

// logState logs a state that has just begun.
func (v *Vitals) logState(verdict health.Verdict) {
	level := slog.LevelInfo
	if verdict.Alarm || !verdict.Feed {
		level = slog.LevelError
	}
	attributes := []any{"state", string(verdict.State)}
	if verdict.Reason != "" {
		attributes = append(attributes, "error", verdict.Reason)
	}
	v.log.Log(context.Background(), level, "state changed", attributes...)
}

// linkPattern is steady light while frames are transmitted or received.
func linkPattern(s health.State) []time.Duration {
	switch s {
	case health.PeerDown, health.Waiting, health.Degraded, health.Good:
		return []time.Duration{time.Second}
	}
	return nil
}

func (v *Vitals) roleStarted() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.judge.Started(v.Uptime())
	v.why = cause.Cause{}
}

func (v *Vitals) roleEnded(reason string, why cause.Cause) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.judge.Ended(v.Uptime(), reason)
	v.why = why
}

// Why returns why the role ended last, while it does not run.
func (v *Vitals) Why() cause.Cause {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.why
}

func (v *Vitals) configurationInvalid(why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.judge.Invalid(why)
}

func (v *Vitals) accept(r report.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newest = r
	v.judge.Report(v.Uptime(), r.Evidence)
}

// refuse logs the first malformed report only: a compromised role could fill the
// log.
func (v *Vitals) refuse(err error) {
	v.mu.Lock()
	v.refusals++
	first := v.refusals == 1
	v.mu.Unlock()
	if first {
		v.log.Error("report of the role refused", "error", err)
	}
}
