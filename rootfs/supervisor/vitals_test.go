package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
)

// dog is a watchdog that notes when it was fed.
type dog struct {
	mu    sync.Mutex
	fed   time.Time
	bites bool // it was not fed for its time-out
	fault error
}

const dogTimeout = 15 * time.Second

func (d *dog) Feed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); !d.fed.IsZero() && now.Sub(d.fed) >= dogTimeout {
		d.bites = true
	}
	d.fed = time.Now()
	return d.fault
}

// reset reports whether the watchdog has reset the board.
func (d *dog) reset() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bites || time.Since(d.fed) >= dogTimeout
}

// lamp notes the patterns that it shows, each once.
type lamp struct {
	mu       sync.Mutex
	patterns [][]time.Duration
}

func (l *lamp) Show(p []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.patterns); n == 0 || !slices.Equal(l.patterns[n-1], p) {
		l.patterns = append(l.patterns, p)
	}
}

func (l *lamp) newest() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.patterns[len(l.patterns)-1]
}

func TestWatchdogIsFedFromEvidenceOfProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		play  func(*process)
		after time.Duration
		reset bool
	}{
		"role that works": {func(p *process) { p.work(0) }, time.Hour, false},
		"role that makes no progress": {func(p *process) { stall(p) },
			health.ProgressTimeout + dogTimeout + 2*time.Second, true},
		"role that stops reporting": {func(p *process) { p.work(5 * time.Second) }, time.Minute, true},
		"role that never reports":   {func(*process) {}, health.StartTimeout + dogTimeout + 2*time.Second, true},
		"a start that takes its time": {func(p *process) { time.Sleep(health.StartTimeout - 5*time.Second); p.work(0) },
			time.Hour, false},
		"role that ends now and then": {func(p *process) { p.work(20 * time.Second); p.exit(nil) }, time.Hour, false},
		"role that ends at once":      {func(p *process) { p.exit(nil) }, 15 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, d := newRig(t, "tx", validTX), &dog{}
				r.play = tt.play
				stop := r.background(t, Outputs{Watchdog: d})
				pass(tt.after)
				if got := d.reset(); got != tt.reset {
					v, _ := r.Vitals.Current()
					t.Errorf("board reset: %t, want %t (%s: %s)", got, tt.reset, v.State, v.Reason)
				}
				for _, p := range r.processes {
					p.exit(nil)
				}
				stop()
			})
		})
	}
}

// stall reports each second with the same count.
func stall(p *process) {
	for p.report(7) == nil {
		time.Sleep(time.Second)
	}
}

// stalledLog takes no line until it is closed.
type stalledLog chan struct{}

func (s stalledLog) Enabled(context.Context, slog.Level) bool  { return true }
func (s stalledLog) Handle(context.Context, slog.Record) error { <-s; return nil }
func (s stalledLog) WithAttrs([]slog.Attr) slog.Handler        { return s }
func (s stalledLog) WithGroup(string) slog.Handler             { return s }

func TestLogThatStallsDoesNotStopTheFeeding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := make(stalledLog), &dog{}
		v := NewVitals(slog.New(log))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.Run(ctx, Outputs{Watchdog: d}) }) // its first state is one that it logs
		running.Go(func() { v.refuse(errors.New("malformed")) })
		pass(health.StartTimeout - time.Second)
		if d.reset() {
			t.Error("the board was reset: feeding waits for the log")
		}
		close(log)
		stop()
		running.Wait()
	})
}

func TestOrderlyEndThatHangsIsResetByTheWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := NewVitals(slog.New(slog.DiscardHandler)), &dog{}
		ctx, stop := context.WithCancel(t.Context())
		go v.Run(ctx, Outputs{Watchdog: d})
		pass(health.StartTimeout + dogTimeout/2) // stuck by now, and not fed
		stop()                                   // what follows hangs: this test ends no role and no board
		pass(endTime)
		if d.reset() {
			t.Errorf("the board was reset within %s: its orderly end has no time", endTime)
		}
		pass(dogTimeout + time.Second)
		if !d.reset() {
			t.Error("the board was not reset: a hung end leaves it dark for ever")
		}
	})
}

func TestInvalidConfigurationIsNoReasonForAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := newRig(t, "tx", "pair = 1\n"), &dog{}
		stop := r.background(t, Outputs{Watchdog: d})
		pass(3 * health.EndedTimeout)
		if d.reset() {
			t.Error("the board was reset, which does not help")
		}
		stop()
	})
}

func TestStatesAreShownAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		var heartbeat, link lamp
		r.play = func(p *process) { time.Sleep(2 * time.Second); p.work(time.Minute); stall(p) }
		stop := r.background(t, Outputs{Heartbeat: &heartbeat, Link: &link})
		pass(30 * time.Second)
		if v, _ := r.Vitals.Current(); !slices.Equal(heartbeat.newest(), v.Pattern) || len(link.newest()) != 1 {
			t.Errorf("good: got the patterns %v and %v, want %v and steady light", heartbeat.newest(), link.newest(),
				v.Pattern)
		}
		pass(time.Minute)
		if len(heartbeat.newest()) != 0 || len(link.newest()) != 0 {
			t.Errorf("stuck: got the patterns %v and %v, want darkness", heartbeat.newest(), link.newest())
		}
		stop()
		for _, line := range []string{"state=STARTING error=", "state=GOOD\n",
			"level=ERROR msg=\"state changed\" state=STUCK error=\"link "} {
			r.log.expect(t, line, 1)
		}
	})
}

func TestLostLinkIsAnError(t *testing.T) {
	var log lines
	v := NewVitals(log.logger())
	v.roleStarted()
	v.accept(report.Report{Evidence: health.Evidence{LinkLost: "no frames"}})
	verdict, changed := v.update()
	if !changed {
		t.Error("the state has not changed")
	}
	v.logState(verdict)
	log.expect(t, "level=ERROR msg=\"state changed\" state=\"LINK LOST\" error=\"no frames\"", 1)
}

func TestWatchdogThatFailsIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, d := newRig(t, "tx", validTX), &dog{fault: errors.New("bad file descriptor")}
		stop := r.background(t, Outputs{Watchdog: d})
		pass(1500 * time.Millisecond)
		stop()
		r.log.expect(t, "watchdog not fed", 2)
	})
}

func TestLampsShowOnePatternTogether(t *testing.T) {
	one, other := &lamp{}, &lamp{}
	Lamps{one, other}.Show([]time.Duration{time.Second})
	if len(one.newest()) != 1 || len(other.newest()) != 1 {
		t.Errorf("got %v and %v, want the pattern on both", one.newest(), other.newest())
	}
}
