package aggregate

// extremeKind is what extremes and areas report.
type extremeKind uint8

const (
	minimum extremeKind = iota
	maximum
	minimumActualTime
	maximumActualTime
	span
)

// extreme is the lowest or the highest of some values.
type extreme struct {
	sample
	several bool // the same value at another time
}

// update replaces the value by s if that is further in the direction of sign.
func (e *extreme) update(s *sample, sign float64) {
	switch {
	case !e.ok || (s.Value.Value-e.Value.Value)*sign > 0:
		e.sample, e.several = *s, false
	case s.Value.Value == e.Value.Value && s.t != e.t:
		e.several = true
	}
}

// extremes are the aggregates over the raw values' order (OPC 10000-13 §5.4.3.10 to §5.4.3.14).
type extremes struct {
	kind      extremeKind
	low, high extreme // of the good values
	ulow      extreme // of the uncertain ones
	uhigh     extreme
	bad       bool
}

func newExtremes(kind extremeKind) func() tally {
	return func() tally { return &extremes{kind: kind} }
}

func (y *extremes) reset() { *y = extremes{kind: y.kind} }

func (y *extremes) add(_ *window, s *sample) {
	switch s.class {
	case good:
		y.low.update(s, -1)
		y.high.update(s, 1)
	case uncertain:
		y.ulow.update(s, -1)
		y.uhigh.update(s, 1)
	default:
		y.bad = true
	}
}

func (y *extremes) close(w *window) Value {
	if !y.low.ok {
		return w.noData()
	}
	lower := y.ulow.ok && y.ulow.Value.Value < y.low.Value.Value
	higher := y.uhigh.ok && y.uhigh.Value.Value > y.high.Value.Value
	switch y.kind {
	case minimum, minimumActualTime:
		return y.pick(w, &y.low, y.bad || lower)
	case maximum, maximumActualTime:
		return y.pick(w, &y.high, y.bad || higher)
	}
	return w.result(y.high.Value.Value-y.low.Value.Value, downgrade(y.bad || lower || higher), w.calculated())
}

// pick returns an extreme with its time, or that of the interval.
func (y *extremes) pick(w *window, e *extreme, less bool) Value {
	bits := w.partial()
	if e.several {
		bits |= bitMultipleValues
	}
	actual := y.kind == minimumActualTime || y.kind == maximumActualTime
	if !actual && (less || e.t != w.stamp) {
		bits |= bitCalculated
	}
	v := w.result(e.Value.Value, downgrade(less), bits)
	v.Raw = e.Raw
	if actual {
		v.Time = fromTicks(e.t)
	}
	return v
}
