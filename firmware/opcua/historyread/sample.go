package historyread

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Work bounds what one response costs.
type Work struct {
	Samples int         // read before it is answered with what there is; at least one result is
	Late    func() bool // reports whether its time is over
	used    int
}

// Used returns how many samples were read.
func (w *Work) Used() int { return w.used }

// spent reports whether no other result is computed now.
func (w *Work) spent() bool { return w.used >= w.Samples || w.Late() }

// Our own bounds for the samples that are read before there is a result.
const (
	maxSamples     = 5_000_000 // of one result: about two months at one a second
	checkTimeEvery = 128       // samples between looks at the clock
)

// ErrTooMuch is returned where one result would take more samples than may be read.
var ErrTooMuch = errors.New("historyread: a result takes too many samples: ask for shorter intervals")

// errPause ends a computation whose results so far are returned.
var errPause = errors.New("historyread: pause")

// reading reads the samples of one node.
type reading struct {
	each    Source
	work    *Work
	config  aggregate.Config
	numeric bool      // a sample without a number is Bad
	kind    ua.TypeID // of the samples' values, once one has any
	since   int       // samples read since the last result
	skip    int       // results that are computed once more, because one beside them needs them
	pauses  bool      // it ends when the work is done: what is left can be computed later, or in shorter parts
}

// sample makes a sample of a DataValue.
func (r *reading) sample(at int64, dataValue []byte) aggregate.Value {
	s := aggregate.Value{Time: uabinary.Time(at)}
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil {
		s.Status = ua.StatusBadDataLost // damaged on disk
		return s
	}
	s.Status, s.Raw = dv.Status, slices.Clone(dv.Value.Raw)
	if s.Value, s.HasValue = number(dv.Value); s.HasValue {
		r.kind = dv.Value.Type()
	}
	return s
}

// usable reports whether an aggregate takes a sample for its bounds.
func (r *reading) usable(s *aggregate.Value) bool { return r.config.Usable(s, r.numeric) }

// count counts a sample, and returns why no other one is read.
func (r *reading) count() error {
	r.work.used++
	r.since++
	switch {
	case r.since > (1+r.skip)*maxSamples:
		return ErrTooMuch
	case !r.pauses:
	case r.work.used >= r.work.Samples || r.since%checkTimeEvery == 0 && r.work.Late():
		return errPause
	}
	return nil
}

// from yields the samples from the second usable one before a time on.
func (r *reading) from(t int64) iter.Seq2[aggregate.Value, error] {
	return func(yield func(aggregate.Value, error) bool) {
		begin, found := t, 0
		var stop error
		err := r.each(clamp(t), clamp(earliest), func(at time.Time, dataValue []byte) bool {
			begin = uabinary.Ticks(at)
			s := r.sample(begin, dataValue)
			if r.usable(&s) {
				found++
			}
			stop = r.count()
			return found < 2 && stop == nil
		})
		if err == nil && stop == nil {
			err = r.each(clamp(begin), clamp(latest), func(at time.Time, dataValue []byte) bool {
				if stop = r.count(); stop != nil {
					return false
				}
				return yield(r.sample(uabinary.Ticks(at), dataValue), nil)
			})
		}
		if err == nil {
			err = stop
		}
		if err != nil {
			yield(aggregate.Value{}, err)
		}
	}
}

// number returns a scalar number or Boolean.
func number(v rawvalue.Variant) (float64, bool) {
	if v.IsArray() || len(v.Raw) < 2 {
		return 0, false
	}
	b := v.Raw[1:]
	switch v.Type() {
	case ua.TypeIDBoolean, ua.TypeIDByte:
		return float64(b[0]), true
	case ua.TypeIDSByte:
		return float64(int8(b[0])), true
	case ua.TypeIDInt16:
		return float64(int16(binary.LittleEndian.Uint16(b))), true
	case ua.TypeIDUint16:
		return float64(binary.LittleEndian.Uint16(b)), true
	case ua.TypeIDInt32:
		return float64(int32(binary.LittleEndian.Uint32(b))), true
	case ua.TypeIDUint32:
		return float64(binary.LittleEndian.Uint32(b)), true
	case ua.TypeIDInt64:
		return float64(int64(binary.LittleEndian.Uint64(b))), true
	case ua.TypeIDUint64:
		return float64(binary.LittleEndian.Uint64(b)), true
	case ua.TypeIDFloat:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case ua.TypeIDDouble:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

// appendNumber appends a Variant of a type, rounded and limited to what it holds.
func appendNumber(b []byte, kind ua.TypeID, x float64) []byte {
	b = append(b, byte(kind))
	whole := func(low, high float64) float64 { return min(max(math.RoundToEven(x), low), high) }
	switch kind {
	case ua.TypeIDBoolean:
		return append(b, byte(whole(0, 1)))
	case ua.TypeIDByte:
		return append(b, byte(whole(0, math.MaxUint8)))
	case ua.TypeIDSByte:
		return append(b, byte(int8(whole(math.MinInt8, math.MaxInt8))))
	case ua.TypeIDInt16:
		return binary.LittleEndian.AppendUint16(b, uint16(int16(whole(math.MinInt16, math.MaxInt16))))
	case ua.TypeIDUint16:
		return binary.LittleEndian.AppendUint16(b, uint16(whole(0, math.MaxUint16)))
	case ua.TypeIDInt32:
		return binary.LittleEndian.AppendUint32(b, uint32(int32(whole(math.MinInt32, math.MaxInt32))))
	case ua.TypeIDUint32, ua.TypeIDStatusCode:
		return binary.LittleEndian.AppendUint32(b, uint32(whole(0, math.MaxUint32)))
	case ua.TypeIDInt64:
		return binary.LittleEndian.AppendUint64(b, uint64(int64(whole(math.MinInt64, math.MaxInt64-1023))))
	case ua.TypeIDUint64:
		return binary.LittleEndian.AppendUint64(b, uint64(whole(0, math.MaxUint64-2047)))
	case ua.TypeIDFloat:
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	b[len(b)-1] = byte(ua.TypeIDDouble)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
}

// result returns a DataValue: of a sample as it is, or of a number.
func (r *reading) result(kind aggregate.Type, v aggregate.Value) (at int64, dataValue []byte) {
	at = uabinary.Ticks(v.Time)
	var variant []byte
	switch raw, asIs := v.Raw.([]byte); {
	case asIs:
		variant = raw
	case !v.HasValue:
	case kind == aggregate.TypeInt32:
		variant = appendNumber(nil, ua.TypeIDInt32, v.Value)
	case kind == aggregate.TypeStatus:
		variant = appendNumber(nil, ua.TypeIDStatusCode, v.Value)
	case kind == aggregate.TypeOfSource:
		variant = appendNumber(nil, r.kind, v.Value)
	default:
		variant = appendNumber(nil, ua.TypeIDDouble, v.Value)
	}
	return at, appendDataValue(variant, v.Status, at)
}

// appendDataValue returns a DataValue with a source timestamp.
func appendDataValue(variant []byte, status ua.StatusCode, at int64) []byte {
	mask := []byte{ua.DataValueStatusCode | ua.DataValueSourceTimestamp}
	if status == ua.StatusOK {
		mask[0] = ua.DataValueSourceTimestamp
	}
	return rawvalue.DataValue{Raw: mask, Status: status, SourceTime: at}.AppendWith(nil, rawvalue.Answer{}, variant)
}
