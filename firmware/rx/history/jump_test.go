package history

import (
	"path/filepath"
	"testing"
	"time"
)

const day = 24 * time.Hour

// daily leaves a rig with a segment a day, of a value without a time of its own.
func daily(t *testing.T, dir string, days int) *rig {
	t.Helper()
	r := newRig(t, dir, Limits{Age: 30 * day, Bytes: 1 << 30})
	for range days {
		r.stamp()
		r.wait(day)
		r.seal()
	}
	return r
}

// stamp adds a value that has the receiver's time.
func (r *rig) stamp() { r.AddValue([]byte("a"), r.now, []byte("v")) }

// run lets hours pass.
func (r *rig) run(d time.Duration) {
	for range d / time.Hour {
		r.pass(time.Hour)
	}
}

// kept checks how many segments there are.
func (r *rig) kept(what string, want uint64) {
	r.t.Helper()
	if got := r.Stats().Segments; got != want {
		r.t.Errorf("%s: got %d segments, want %d", what, got, want)
	}
}

// What has the receiver's time is then as far ahead as its clock.
func TestAClockThatJumpsAheadRemovesNothingWhenSomethingIsStampedWithIt(t *testing.T) {
	r := daily(t, filepath.Join(t.TempDir(), "history"), 29)
	r.now = r.now.AddDate(10, 0, 0)
	r.stamp()
	r.run(4 * time.Hour)
	r.seal()
	r.kept("jumped", 30)

	again := newRig(t, copyDir(t, r.dir), r.limits)
	again.now = r.now
	again.stamp()
	again.run(4 * time.Hour)
	again.kept("opened again meanwhile", 30)

	r.now = r.now.AddDate(-10, 0, 0)
	r.stamp()
	r.run(2 * time.Hour)
	r.kept("put right", 30)
}

// A step is one like the other until it stays: the clock was wrong before, or the board was off.
func TestWhatIsTooOldGoesAfterAStepThatStays(t *testing.T) {
	for name, years := range map[string]int{"1970": 56, "off for a year": 1} {
		t.Run(name, func(t *testing.T) {
			r := daily(t, filepath.Join(t.TempDir(), "history"), 30)
			r.now = r.now.AddDate(years, 0, 0)
			r.stamp()
			r.run(day)
			if got := r.Stats().Expired; got < 3 || got > 4 {
				t.Errorf("%d of 30 days went in a day, want 3 or 4", got)
			}
			for range 9 { // what waits to be removed does so again after each start
				next := newRig(t, copyDir(t, r.dir), r.limits)
				next.now = r.now
				next.stamp()
				next.run(day)
				r = next
			}
			if oldest, _, _ := r.Span(); r.now.Sub(oldest) > 10*day {
				t.Errorf("the oldest is from %v, at %v", oldest, r.now)
			}
		})
	}
}

// A clock that is right has it go in time, however short the runs are.
func TestRunsOfADayShiftKeepNoMoreThanTheirAge(t *testing.T) {
	r := daily(t, filepath.Join(t.TempDir(), "history"), 30)
	for range 30 {
		next := newRig(t, copyDir(t, r.dir), r.limits)
		next.now = r.now.Add(16 * time.Hour)
		next.stamp()
		next.run(8 * time.Hour)
		next.seal()
		if oldest, _, _ := next.Span(); next.now.Sub(oldest) > 33*day {
			t.Fatalf("the oldest is from %v, at %v", oldest, next.now)
		}
		r = next
	}
}
