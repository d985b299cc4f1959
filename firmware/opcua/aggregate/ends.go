package aggregate

import "github.com/gopcua/opcua/ua"

// endKind is what ends reports.
type endKind uint8

const (
	first endKind = iota
	last
	delta
)

// ends are Start, End and Delta (OPC 10000-13 §5.4.3.25 to §5.4.3.27). First and last are meant in
// time, in backward requests too.
type ends struct {
	kind     endKind
	from, to sample // the first and the last good value
	skipped  bool   // values that are not good before the first or after the last
	trailing bool
}

func newEnds(kind endKind) func() tally {
	return func() tally { return &ends{kind: kind} }
}

func (y *ends) reset() { *y = ends{kind: y.kind} }

func (y *ends) add(_ *window, s *sample) {
	if y.kind != delta {
		return
	}
	if s.class != good {
		y.trailing = true
		return
	}
	if !y.from.ok {
		y.from, y.skipped = *s, y.trailing
	}
	y.to, y.trailing = *s, false
}

func (y *ends) close(w *window) Value {
	switch {
	case w.count == 0 || y.kind == delta && !y.from.ok:
		return w.noData()
	case y.kind == first:
		return asIs(&w.first, w.partial())
	case y.kind == last:
		return asIs(&w.last, w.partial())
	}
	return w.result(y.to.Value.Value-y.from.Value.Value, downgrade(y.skipped || y.trailing), w.calculated())
}

// asIs returns a raw value with its own status.
func asIs(s *sample, bits ua.StatusCode) Value {
	v := s.Value
	v.Time = fromTicks(s.t)
	v.Status = withBits(v.Status, bits)
	return v
}

// worst is WorstQuality (OPC 10000-13 §5.4.3.35). TreatUncertainAsBad is ignored.
type worst struct {
	code    ua.StatusCode
	ok      bool
	several bool // other codes that are as bad
}

// codeMask leaves severity and reason of a StatusCode.
const codeMask ua.StatusCode = 0xFFFF0000

func newWorst() tally { return &worst{} }

func (y *worst) reset() { *y = worst{} }

func (y *worst) add(_ *window, s *sample) {
	code := s.Status & codeMask
	switch {
	case !y.ok || severity(code) > severity(y.code):
		*y = worst{code: code, ok: true}
	case severity(code) == severity(y.code) && code != y.code:
		y.several = true
	}
}

func (y *worst) close(w *window) Value {
	if !y.ok {
		return w.noData()
	}
	bits := w.calculated()
	if y.several {
		bits |= bitMultipleValues
	}
	return w.result(float64(y.code), ua.StatusOK, bits)
}

// boundKind is what bounds reports.
type boundKind uint8

const (
	startBound boundKind = iota
	endBound
	deltaBounds
)

// bounds are the simple bounding values themselves (OPC 10000-13 §5.4.3.28 to §5.4.3.30).
type bounds struct{ kind boundKind }

func newBounds(kind boundKind) func() tally {
	return func() tally { return bounds{kind} }
}

func (bounds) reset()               {}
func (bounds) add(*window, *sample) {}

func (y bounds) close(w *window) Value {
	from, to := w.lower(), w.upper()
	if w.backward {
		from, to = to, from
	}
	p := from
	if y.kind == endBound {
		p = to
	}
	switch {
	case p.class == bad || y.kind == deltaBounds && to.class == bad:
		return w.result(0, ua.StatusBadNoData, w.partial())
	case y.kind == deltaBounds:
		code := downgrade(from.class != good || to.class != good)
		return w.result(to.value-from.value, code, w.calculated())
	}
	bits := w.partial()
	if y.kind == endBound {
		bits |= bitCalculated
	} else if p.raw == nil {
		bits |= bitInterpolated
	}
	v := w.result(p.value, p.status, bits)
	if p.raw != nil {
		v.Raw = p.raw.Raw
	}
	return v
}
