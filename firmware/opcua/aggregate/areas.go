package aggregate

import "github.com/gopcua/opcua/ua"

// areaKind is what areas reports.
type areaKind uint8

const (
	average2 areaKind = iota
	total2
	minimum2
	maximum2
	minimumActualTime2
	maximumActualTime2
	span2
)

// areas are the aggregates with simple bounding values (OPC 10000-13 §5.4.3.7, §5.4.3.9, §5.4.3.15
// to §5.4.3.19). A region reaches from one sample to the next; it is Bad if it begins with a Bad
// one, and Uncertain if it ends with one that is not Good and the interpolation is sloped
// (§5.4.3.2.2).
type areas struct {
	kind      areaKind
	area      float64 // value times seconds
	used      int64   // ticks with an area
	good, bad int64   // ticks, after TreatUncertainAsBad
	low, high extreme // of the samples
}

func newAreas(kind areaKind) func() tally {
	return func() tally { return &areas{kind: kind} }
}

func (y *areas) reset() { *y = areas{kind: y.kind} }

func (y *areas) add(w *window, s *sample) {
	y.region(w, s, s.t)
	if y.kind >= minimum2 && s.class != bad {
		y.low.update(s, -1)
		y.high.update(s, 1)
	}
}

// region adds the time from the newest sample to t, where b is the next sample.
func (y *areas) region(w *window, b *sample, t int64) {
	a := w.newest()
	from := w.lo
	if w.count > 0 {
		from = a.t
	}
	d := t - from
	if !a.ok || a.class == bad {
		y.bad += d
		return
	}
	k := a.class
	height := a.Value.Value
	if b.ok && !w.config.Stepped {
		if b.class == bad {
			k = uncertain
		} else {
			k = max(k, b.class)
			height = (line(a, b, from) + line(a, b, t)) / 2
		}
	}
	if d > 0 {
		y.area += height * seconds(d)
	}
	y.used += d
	if k == uncertain && w.config.TreatUncertainAsBad {
		y.bad += d
	} else {
		y.good += d
	}
}

func (y *areas) close(w *window) Value {
	end := w.until()
	y.region(w, &w.after, end)
	code := w.config.ratio(float64(y.good), float64(y.bad), float64(end-w.lo))
	switch {
	case y.kind < minimum2 && y.used == 0:
		return w.noData()
	case y.kind == average2:
		return w.result(y.area/seconds(y.used), code, w.calculated())
	case y.kind == total2:
		return w.result(y.area, code, w.calculated())
	}
	return y.extreme(w, code)
}

// extreme returns the lowest or the highest of the samples and the two bounds.
func (y *areas) extreme(w *window, code ua.StatusCode) Value {
	low, high := y.withBounds(w)
	if !low.ok {
		return w.noData()
	}
	switch y.kind {
	case minimum2:
		return y.pick(w, &low, code, false)
	case minimumActualTime2:
		return y.pick(w, &low, code, true)
	case maximum2:
		return y.pick(w, &high, code, false)
	case maximumActualTime2:
		return y.pick(w, &high, code, true)
	}
	return w.result(high.Value.Value-low.Value.Value, code, w.calculated())
}

// withBounds returns the extremes with the start bound and, where interpolation is sloped, the end
// bound. In time the lower bound comes first.
func (y *areas) withBounds(w *window) (low, high candidate) {
	lower, upper := w.lower(), w.upper()
	if w.config.Stepped {
		if w.backward {
			lower.class = bad
		} else {
			upper.class = bad
		}
	}
	low.bound(w, lower, w.lo, -1)
	high.bound(w, lower, w.lo, 1)
	low.samples(&y.low, -1)
	high.samples(&y.high, 1)
	low.bound(w, upper, w.hi, -1)
	high.bound(w, upper, w.hi, 1)
	return low, high
}

// pick returns an extreme with its bits.
func (y *areas) pick(w *window, e *candidate, code ua.StatusCode, actual bool) Value {
	bits := w.partial()
	if e.several {
		bits |= bitMultipleValues
	}
	atEnd := e.t == w.hi && !w.backward || e.t == w.lo && w.backward
	switch {
	case e.interpolated || actual && atEnd:
		bits |= bitInterpolated
	case !actual && (e.t != w.stamp || severity(code) == bad):
		bits |= bitCalculated
	}
	v := w.result(e.Value.Value, code, bits)
	if v.HasValue {
		v.Raw = e.Raw
	}
	if actual {
		v.Time = fromTicks(w.inside(e.t))
	}
	return v
}

// candidate is an extreme that may be a bound.
type candidate struct {
	extreme
	interpolated bool
}

// bound takes a bounding value, unless a sample of the interval has its time or
// TreatUncertainAsBad forbids it.
func (e *candidate) bound(w *window, p point, t int64, sign float64) {
	inside := w.count > 0 && p.raw != nil && (w.first.t == t || w.last.t == t)
	if p.class == bad || p.class == uncertain && w.config.TreatUncertainAsBad || inside {
		return
	}
	s := sample{Value: Value{Value: p.value, HasValue: true}, t: t, ok: true}
	if p.raw != nil {
		s.Raw = p.raw.Raw
	}
	was := *e
	if e.update(&s, sign); !was.ok || e.t != was.t {
		e.interpolated = p.raw == nil
	}
}

// samples takes the extreme of the samples.
func (e *candidate) samples(s *extreme, sign float64) {
	if !s.ok {
		return
	}
	was := *e
	e.update(&s.sample, sign)
	if !was.ok || e.t != was.t {
		e.interpolated, e.several = false, s.several
	} else if e.Value.Value == s.Value.Value {
		e.several = true
	}
}

// inside moves the end of the request's direction into the interval: the EffectiveEndTime of
// OPC 10000-13 §5.4.2.4.
func (s *slot) inside(t int64) int64 {
	if s.backward && t == s.lo {
		return t + resolution
	}
	if !s.backward && t == s.hi {
		return t - resolution
	}
	return t
}
