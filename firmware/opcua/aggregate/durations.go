package aggregate

import "github.com/gopcua/opcua/ua"

// durationKind is what durations reports.
type durationKind uint8

const (
	durationGood durationKind = iota
	durationBad
	percentGood
	percentBad
	stateZero
	stateNonZero
)

// durations are the aggregates over how long a status or a value lasts (OPC 10000-13 §5.4.3.22,
// §5.4.3.23, §5.4.3.31 to §5.4.3.34). A region begins with a sample and has its status. What
// the region before the first sample has, differs: the status of the sample before the interval for
// the durations and percentages, that of the simple bounding value for the states.
type durations struct {
	kind            durationKind
	good, bad, soso int64 // ticks
	zero, nonZero   int64 // of good
}

func newDurations(kind durationKind) func() tally {
	return func() tally { return &durations{kind: kind} }
}

func (y *durations) reset() { *y = durations{kind: y.kind} }

func (y *durations) add(w *window, s *sample) { y.region(w, s, s.t) }

// region adds the time up to t, where b is the next sample from the begin of the region on.
func (y *durations) region(w *window, b *sample, t int64) {
	from, k, value := w.lo, bad, 0.0
	switch {
	case w.count > 0:
		from, k, value = w.last.t, w.last.class, w.last.Value.Value
	case y.kind == stateZero || y.kind == stateNonZero:
		p := w.config.simple(w.lo, &w.before, b)
		k, value = p.class, p.value
	case w.before.ok:
		k = w.before.class
	}
	d := t - from
	switch {
	case k == bad:
		y.bad += d
	case k == uncertain:
		y.soso += d
	case value == 0:
		y.zero += d
		y.good += d
	default:
		y.nonZero += d
		y.good += d
	}
}

func (y *durations) close(w *window) Value {
	end := w.until()
	y.region(w, &w.after, end)
	whole := end - w.lo
	result := func(d int64) Value { return w.result(milliseconds(d), ua.StatusOK, w.calculated()) }
	percent := func(d int64) Value {
		return w.result(float64(d)*100/float64(whole), ua.StatusOK, w.calculated())
	}
	switch y.kind {
	case durationGood:
		return result(y.good)
	case durationBad:
		return result(y.bad)
	case percentGood:
		return percent(y.good)
	case percentBad:
		return percent(y.bad)
	}
	d := y.nonZero
	if y.kind == stateZero {
		d = y.zero
	}
	fine, wrong := y.good+y.soso, y.bad
	if w.config.TreatUncertainAsBad {
		fine, wrong = y.good, y.bad+y.soso
	}
	code := w.config.ratio(float64(fine), float64(wrong), float64(whole))
	return w.result(milliseconds(d), code, w.calculated())
}
