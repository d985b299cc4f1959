// Package timekeeper sets a board's clock from what its role measures, because the
// role itself may not: TX measures NTP servers, RX the time that TX sends.
//
//	start   the latest of the hardware's clock (which the kernel has taken over), the
//	        saved time and the date of the release's files
//	then    a step once two measurements agree, and slewing from then on
//	saved   8 bytes, big endian: seconds since 1970 UTC, for a board whose clock does
//	        not run without power; written once the time has held for ten minutes
//
// It refuses to step the clock to before the date of the release's files or decades
// after it, whichever source measured that.
package timekeeper

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
)

// Our own choices.
const (
	checkInterval = time.Second      // how often the role reports
	saveInterval  = 10 * time.Minute // also how long the time has to hold before it is saved
	maxError      = 50 * time.Millisecond
	// serviceLife is how long after the date of its files a release may run; a later
	// time is rejected.
	serviceLife = 30 * 365 * 24 * time.Hour
)

// Clock sets the machine's clock, as package clock does.
type Clock interface {
	Step(to time.Time) error
	Slew(offset time.Duration) error
	Confirm(maxError time.Duration) error
}

// Config is what a Keeper works with.
type Config struct {
	Log         *slog.Logger
	Clock       Clock
	Now         func() time.Time    // reads the machine's clock
	Measurement func() report.Clock // the role's newest
	Released    time.Time           // date of the release's files; zero: not known
	File        string              // that keeps the saved time
}

// Keeper keeps the machine's clock.
type Keeper struct {
	Config
	start      time.Time
	discipline discipline
	rejecting  bool          // the newest measurement was rejected
	known      bool          // the time of day is known
	knownSince time.Duration // since the start
	saved      bool
	savedAt    time.Duration
}

// Start returns a Keeper whose clock is not before the last known time.
func Start(c Config) *Keeper {
	k := &Keeper{Config: c, start: time.Now()}
	if !c.Released.IsZero() {
		k.discipline.floor, k.discipline.ceiling = c.Released, c.Released.Add(serviceLife)
	}
	latest := k.discipline.floor
	saved, err := readSaved(c.File)
	if err != nil {
		c.Log.Warn("saved time cannot be read", "error", err)
	}
	if saved.After(latest) {
		k.discipline.saved, latest = saved, saved
	}
	if c.Now().Before(latest) {
		k.step(latest, "saved time or date of the release")
	}
	return k
}

// readSaved returns the saved time, or the zero time if there is none.
func readSaved(file string) (time.Time, error) {
	b, err := store.Read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	case len(b) != 8:
		return time.Time{}, errors.New("timekeeper: " + file + ": not 8 bytes")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), nil
}

// Run keeps the clock until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.saved = false
			k.save()
			return
		case <-tick.C:
		}
		k.apply(k.Measurement())
		k.save()
	}
}

// apply acts on a measurement.
func (k *Keeper) apply(c report.Clock) {
	offset := time.Duration(c.OffsetSeconds * float64(time.Second))
	now, elapsed := k.Now(), time.Since(k.start)
	switch k.discipline.decide(elapsed, now, c.Number, offset) {
	case leave:
		return
	case reject:
		if !k.rejecting {
			k.Log.Warn("measured time rejected: before the release or decades after it",
				"time", now.Add(offset).UTC().Format(time.RFC3339), "source", c.Source)
		}
		k.rejecting = true
		return
	case step:
		if !k.step(now.Add(offset), c.Source) {
			return
		}
		k.knownSince = elapsed
	case slew:
		if err := k.Clock.Slew(offset); err != nil {
			k.Log.Error("clock not slewed", "error", err)
			return
		}
	}
	k.rejecting = false
	if !k.known {
		k.Log.Info("time of day known", "source", c.Source)
		k.known, k.knownSince = true, elapsed
	}
	if err := k.Clock.Confirm(maxError); err != nil {
		k.Log.Error("clock not confirmed to the kernel", "error", err)
	}
}

// step reports whether the clock was set.
func (k *Keeper) step(to time.Time, source string) bool {
	from := k.Now()
	if err := k.Clock.Step(to); err != nil {
		k.Log.Error("clock not set", "error", err)
		return false
	}
	k.Log.Warn("clock set", "from", from.UTC().Format(time.RFC3339), "source", source)
	return true
}

// save writes the time of day to the file if it is due.
func (k *Keeper) save() {
	elapsed := time.Since(k.start)
	if !k.known || elapsed-k.knownSince < saveInterval || k.saved && elapsed-k.savedAt < saveInterval {
		return
	}
	k.saved, k.savedAt = true, elapsed
	seconds := binary.BigEndian.AppendUint64(nil, uint64(k.Now().Unix()))
	if err := store.Write(k.File, seconds); err != nil {
		k.Log.Error("time not saved", "error", err)
	}
}
