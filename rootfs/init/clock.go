package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"heliograph/drivers/clock"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
)

// keptTime is where the last known time of day is, for a board without a clock
// that runs without power.
const keptTime = "/data/clock"

// Our own choices.
const (
	keepTime = 10 * time.Minute
	maxError = 50 * time.Millisecond // of what the role measures
	// useful is how long after the date of its files, 2020, a board may run: a time after
	// that is not believed, whoever tells it.
	useful = 30 * 365 * 24 * time.Hour
)

// timekeeper sets the machine's clock from what the role measures.
type timekeeper struct {
	log        *slog.Logger
	start      time.Time
	discipline clock.Discipline
	known      bool
	since      time.Time // what is known has held
	kept       time.Time
	doubted    bool
}

// newTimekeeper begins with a clock that is not before the last time known: that
// of the image's files, or the one that was kept. A hardware's clock that the
// kernel has taken is later than both.
func newTimekeeper(log *slog.Logger) *timekeeper {
	k := &timekeeper{log: log, start: time.Now()}
	if info, err := os.Stat("/init"); err == nil {
		k.discipline.Floor, k.discipline.Ceiling = info.ModTime(), info.ModTime().Add(useful)
	}
	latest := k.discipline.Floor
	b, err := store.Read(keptTime)
	if err == nil && len(b) == 8 {
		if kept := time.Unix(int64(binary.BigEndian.Uint64(b)), 0); kept.After(latest) {
			k.discipline.Kept, latest = kept, kept
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the last known time is lost: " + err.Error())
	}
	if time.Now().Before(latest) {
		k.step(latest, "last known time")
	}
	return k
}

// step says whether the clock was set.
func (k *timekeeper) step(to time.Time, source string) bool {
	from := time.Now()
	if err := clock.Step(to); err != nil {
		k.log.Error(err.Error())
		return false
	}
	k.log.Warn("clock set", "from", from.UTC().Format(time.RFC3339), "source", source)
	return true
}

// take acts on what the role has measured.
func (k *timekeeper) take(c report.Clock) {
	offset := time.Duration(c.OffsetSeconds * float64(time.Second))
	now := time.Now()
	switch k.discipline.Decide(time.Since(k.start), now, c.Number, offset) {
	case clock.Leave:
		return
	case clock.Doubt:
		if !k.doubted {
			k.log.Warn("the time that is told cannot be: it is before the release or decades after it", "time", now.Add(offset).UTC().Format(time.RFC3339), "source", c.Source)
		}
		k.doubted = true
		return
	case clock.DoStep:
		if !k.step(now.Add(offset), c.Source) {
			return
		}
		k.since = time.Now()
	case clock.DoSlew:
		if err := clock.Slew(offset); err != nil {
			k.log.Error(err.Error())
			return
		}
	}
	k.doubted = false
	if !k.known {
		k.log.Info("time of day known", "source", c.Source)
		k.known = true
		if k.since.IsZero() {
			k.since = time.Now()
		}
	}
	if err := clock.Confirm(maxError); err != nil {
		k.log.Error(err.Error())
	}
}

// keep writes the time of day down, now and then, once it has held for a while.
func (k *timekeeper) keep(now time.Time) {
	if !k.known || now.Sub(k.since) < keepTime || now.Sub(k.kept).Abs() < keepTime {
		return
	}
	k.kept = now
	if err := store.Write(keptTime, binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))); err != nil {
		k.log.Error("keeping the time: " + err.Error())
	}
}

// Run keeps the clock until ctx ends.
func (k *timekeeper) Run(ctx context.Context, v *vitals) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.kept = time.Time{}
			k.keep(time.Now())
			return
		case <-tick.C:
		}
		_, r := v.stand()
		k.take(r.Clock)
		k.keep(time.Now())
	}
}
