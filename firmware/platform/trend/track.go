package trend

import (
	"math"
	"time"
)

var gap = float32(math.NaN())

// track is the steps of one span.
type track struct {
	span
	kinds  []Kind
	newest int64 // number of the newest step since 1970; it is unfinished
	begun  bool  // newest is set
	lines  []line
}

// line is the points of one figure.
type line struct {
	values []float32 // step n is at n modulo their number
	// of the newest step: what its value is made of
	sum     float64 // of value × seconds; of Most the highest
	seconds float64
}

func newTrack(s span, figures []Figure) track {
	t := track{span: s}
	for _, f := range figures {
		t.kinds = append(t.kinds, f.Kind)
		t.lines = append(t.lines, line{values: gaps(s.points)})
	}
	return t
}

func gaps(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = gap
	}
	return v
}

func (t *track) slot(step int64) int {
	n := int64(t.span.points)
	return int((step%n + n) % n)
}

// first is the number of the oldest step.
func (t *track) first() int64 { return t.newest - int64(t.span.points) + 1 }

func (t *track) begins(step int64) time.Time {
	return time.Unix(step*int64(t.step/time.Second), 0).UTC()
}

func (t *track) number(at time.Time) int64 {
	return int64(math.Floor(float64(at.Unix()) / t.step.Seconds()))
}

// advance has the step of now be the newest. Steps on the way are gaps; those that are
// after it are of a clock that was set back, and are dropped.
func (t *track) advance(now time.Time) {
	step := t.number(now)
	if t.begun && step == t.newest {
		return
	}
	from, to := t.newest+1, step // whose values are dropped
	if !t.begun || step < t.newest {
		from, to = step, t.newest
	}
	if !t.begun || to-from >= int64(t.span.points) || to < from {
		from, to = step, step+int64(t.span.points)-1
	}
	for i := range t.lines {
		l := &t.lines[i]
		for s := from; s <= to; s++ {
			l.values[t.slot(s)] = gap
		}
		l.sum, l.seconds = 0, 0
	}
	t.newest, t.begun = step, true
}

// add adds a value that held from one time to another, which is in the newest step.
func (t *track) add(f int, from, to time.Time, v float64) {
	for step := max(t.number(from), t.first()); step <= t.newest; step++ {
		begins := t.begins(step)
		covered := min(to.Sub(begins), t.step) - max(from.Sub(begins), 0)
		if covered > 0 {
			t.lines[f].add(t.kinds[f], t.slot(step), step == t.newest, v, covered)
		}
	}
}

// add adds a value to the step in a slot.
func (l *line) add(kind Kind, slot int, newest bool, v float64, covered time.Duration) {
	switch {
	case kind == Most:
		if old := float64(l.values[slot]); math.IsNaN(old) || v > old {
			l.values[slot] = float32(v)
		}
	case newest:
		l.sum, l.seconds = l.sum+v*covered.Seconds(), l.seconds+covered.Seconds()
		l.values[slot] = float32(l.sum / l.seconds)
	case math.IsNaN(float64(l.values[slot])):
		l.values[slot] = float32(v) // a step that no sample fell into
	}
}

// points returns the values of a figure, oldest first.
func (t *track) points(f int) Values {
	v := make(Values, 0, t.span.points)
	for i := range t.span.points {
		v = append(v, t.lines[f].values[t.slot(t.first()+int64(i))])
	}
	return v
}
