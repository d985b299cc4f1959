// Package keeper samples the figures of a role into a ring of package trend, and keeps
// what the ring has of the day and the month in the file trend of the state folder, one
// record of package store.
//
// Cards wear, so that it writes once an hour, and at the end: a power cut costs the
// history of an hour at most. A file that is damaged, or cannot be written, costs nothing
// but history; it is logged and does not keep the role from being ready.
package keeper

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/trend"
)

// Our own choices.
const (
	every     = 2 * time.Second
	keepEvery = time.Hour
	// clockWait is how long a clock may stand before what is kept until it counts as set
	// back: a board without a battery has the time of day only some time after its start. Later
	// it is how long a clock that was set must stand until the ring follows it.
	clockWait = 10 * time.Minute
)

// Keeper samples and keeps. It is a task. Safe for concurrent use.
type Keeper struct {
	path   string
	sample func() []float64
	log    *slog.Logger
	clock  func() time.Time // the time of day

	mu      sync.Mutex
	ring    *trend.Ring
	kept    time.Time // when it was written last
	started time.Time
	began   time.Time     // when it started, by the time of day that the ring follows
	agreed  time.Duration // how long it had run when the clock last showed that time
	sampled bool          // there is something to write
}

// Open returns the keeper of figures, with what earlier runs have kept in the state
// folder. sample returns the value of each figure, NaN for one that is not known.
func Open(state string, figures []trend.Figure, sample func() []float64, log *slog.Logger) *Keeper {
	k := &Keeper{path: filepath.Join(state, "trend"), sample: sample, log: log, clock: time.Now,
		ring: trend.New(figures), started: time.Now(), kept: time.Now()}
	b, err := store.Read(k.path)
	if err == nil {
		err = k.ring.Restore(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("earlier history of the figures is lost", "error", err)
	}
	return k
}

// String names the task.
func (k *Keeper) String() string { return "trend" }

// Ready is always nil: no figure depends on its history.
func (k *Keeper) Ready() error { return nil }

// Run samples until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		k.step()
		select {
		case <-ctx.Done():
			return nil // Close keeps
		case <-tick.C:
		}
	}
}

// step takes a sample.
func (k *Keeper) step() {
	values := k.sample()
	k.mu.Lock()
	now := k.now()
	if !now.Before(k.ring.Newest()) || time.Since(k.started) > clockWait {
		k.ring.Add(now, values)
		k.sampled = true
	}
	due := time.Since(k.kept) >= keepEvery
	k.mu.Unlock()
	if due {
		k.keep()
	}
}

// now returns the time of day that the ring follows. After the clock was set it goes on as before
// until the clock has stood so for clockWait: what a clock drops that is wrong for a moment does
// not come back.
func (k *Keeper) now() time.Time {
	clock, running := k.clock().Round(0), time.Since(k.started)
	agrees := clock.Sub(k.began.Add(running)).Abs() <= trend.MaxPause
	if agrees || running <= clockWait || running-k.agreed > clockWait {
		k.began, k.agreed = clock.Add(-running), running
	}
	return k.began.Add(running)
}

// History returns a span up to now; false for a name that is none.
func (k *Keeper) History(span string) (trend.History, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if newest := k.ring.Newest(); now.Before(newest) { // the clock is not set yet
		now = newest
	}
	return k.ring.History(span, now)
}

// Close keeps what is new.
func (k *Keeper) Close() { k.keep() }

func (k *Keeper) keep() {
	k.mu.Lock()
	record, sampled := k.ring.Encode(), k.sampled
	k.kept, k.sampled = time.Now(), false
	k.mu.Unlock()
	if !sampled {
		return
	}
	if err := store.Write(k.path, record); err != nil {
		k.log.Warn("history of the figures is not kept", "error", err)
	}
}
