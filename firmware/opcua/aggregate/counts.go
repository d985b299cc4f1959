package aggregate

import (
	"math"

	"github.com/gopcua/opcua/ua"
)

// countKind is what counts reports.
type countKind uint8

const (
	average countKind = iota
	count
	transitions
	deviationSample
	deviationPopulation
	varianceSample
	variancePopulation
)

// counting is of the aggregates over raw values that know no order (OPC 10000-13 §5.4.3.5, §5.4.3.21,
// §5.4.3.24, §5.4.3.37 to §5.4.3.40).
type counting struct {
	kind              countKind
	all, good, bad    int64
	changes           int64
	sum, mean, square float64 // of the good ones: sum, mean, sum of squared distances from it
}

func newCounts(kind countKind) func() tally {
	return func() tally { return &counting{kind: kind} }
}

func (y *counting) reset() { *y = counting{kind: y.kind} }

func (y *counting) add(w *window, s *sample) {
	y.all++
	switch s.class {
	case bad:
		y.bad++
		return
	case good:
		y.good++
		y.sum += s.Value.Value
		d := s.Value.Value - y.mean
		y.mean += d / float64(y.good) // Welford: no cancellation where the values are large
		y.square += d * (s.Value.Value - y.mean)
	}
	if y.kind == transitions && (!w.usable.ok || w.usable.Value.Value != s.Value.Value) {
		y.changes++
	}
}

func (y *counting) close(w *window) Value {
	code := w.config.ratio(float64(y.good), float64(y.bad), float64(y.all))
	switch y.kind {
	case average:
		if y.good == 0 {
			return w.noData()
		}
		return w.result(y.sum/float64(y.good), code, bitCalculated) // never partial
	case count:
		return y.whole(w, y.good, code)
	case transitions:
		return y.whole(w, y.changes, code)
	}
	if y.good == 0 {
		return w.noData()
	}
	return w.result(y.spread(), downgrade(y.good < y.all), w.calculated())
}

// whole is the result of a count. The examples show Bad without further bits.
func (y *counting) whole(w *window, n int64, code ua.StatusCode) Value {
	if severity(code) == bad {
		return w.result(0, code, bitRaw)
	}
	return w.result(float64(n), code, w.calculated())
}

// spread returns a variance or its root; 0 for a single value.
func (y *counting) spread() float64 {
	n := float64(y.good)
	if y.kind == deviationSample || y.kind == varianceSample {
		n--
	}
	if n == 0 {
		return 0
	}
	if y.kind == deviationSample || y.kind == deviationPopulation {
		return math.Sqrt(y.square / n)
	}
	return y.square / n
}
