package historyread

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// AtTime reads values at given times (OPC 10000-11 §6.5.5): as they are where there is one of that
// time, else interpolated. It begins at the first time; Next is all that a continuation
// point needs.
type AtTime struct {
	Times   []int64
	Simple  bool // simple bounding values: the values next to the time, of any status
	Numbers bool // the values are numbers; others are not interpolated, but hold until the next
	Config  aggregate.Config
	Next    int // times that were read
}

// interpolated is the InfoType and the historian bits of a value that is interpolated (OPC 10000-4
// §7.39.1).
const interpolated = 0x0402

// Read emits values until the response is full or its work done. more is true if there are more
// of them.
func (a *AtTime) Read(each Source, w *Work, emit Emit) (more bool, err error) {
	first := a.Next
	for room := true; room && a.Next < len(a.Times); a.Next++ {
		begun := a.Next > first
		if begun && w.spent() {
			break
		}
		t := a.Times[a.Next]
		r := reading{each: each, work: w, config: a.Config, numeric: a.Numbers, pauses: begun}
		_, dataValue, err := a.valueAt(&r, t)
		if begun && errors.Is(err, errPause) {
			break
		}
		if err != nil {
			return false, err
		}
		room = emit(t, dataValue)
	}
	return a.Next < len(a.Times), nil
}

// valueAt returns the value at a time.
func (a *AtTime) valueAt(r *reading, t int64) (at int64, dataValue []byte, err error) {
	if t <= 0 { // MinValue
		return t, appendDataValue(nil, ua.StatusBadNoData, t), nil
	}
	before, err := r.next(t, earliest)
	if err != nil {
		return 0, nil, err
	}
	if before != nil && uabinary.Ticks(before.Time) == t {
		raw, _ := before.Raw.([]byte)
		return t, appendDataValue(raw, before.Status, t), nil
	}
	samples := r.from(t)
	if a.Simple {
		after, err := r.next(t, latest)
		if err != nil {
			return 0, nil, err
		}
		samples = only(before, after)
	}
	if !a.Numbers {
		return r.held(samples, t)
	}
	start := uabinary.Time(t)
	err = aggregate.Compute(id.AggregateFunction_Interpolative, samples, start, start.Add(100*time.Nanosecond), 0,
		a.Config, func(v aggregate.Value) bool {
			at, dataValue = r.result(aggregate.TypeOfSource, v)
			return false
		})
	return at, dataValue, err
}

// next returns the first sample from a time towards another, nil if there is none.
func (r *reading) next(from, to int64) (found *aggregate.Value, err error) {
	err = r.each(clamp(from), clamp(to), func(at time.Time, dataValue []byte) bool {
		s := r.sample(uabinary.Ticks(at), dataValue)
		found = &s
		r.work.used++
		return false
	})
	return found, err
}

// only yields the samples that there are.
func only(samples ...*aggregate.Value) iter.Seq2[aggregate.Value, error] {
	return func(yield func(aggregate.Value, error) bool) {
		for _, s := range samples {
			if s != nil && !yield(*s, nil) {
				return
			}
		}
	}
}

// held returns the last usable value before a time: Good if nothing else is known of the time
// since, and there is a later sample.
func (r *reading) held(samples iter.Seq2[aggregate.Value, error], t int64) (at int64, dataValue []byte, err error) {
	var last *aggregate.Value
	broken, later := false, false
	for s, err := range samples {
		if err != nil {
			return 0, nil, err
		}
		if later = uabinary.Ticks(s.Time) > t; later {
			break
		}
		if r.usable(&s) {
			last, broken = &s, false
		} else {
			broken = true
		}
	}
	if last == nil {
		return t, appendDataValue(nil, ua.StatusBadNoData, t), nil
	}
	code := ua.StatusOK
	if broken || !later || uint32(last.Status)>>30 != 0 {
		code = ua.StatusUncertainDataSubNormal
	}
	raw, _ := last.Raw.([]byte)
	return t, appendDataValue(slices.Clone(raw), code|interpolated, t), nil
}

// IsNumber reports whether a DataValue holds a scalar number or a Boolean; known is false for one
// without a value.
func IsNumber(dataValue []byte) (is, known bool) {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil || dv.Value.IsNull() {
		return false, false
	}
	_, is = number(dv.Value)
	return is, true
}
