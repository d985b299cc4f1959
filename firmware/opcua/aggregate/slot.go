package aggregate

import (
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"
)

// DateTime's range (OPC 10000-6 §5.2.2.5).
const (
	firstYear = 1601
	lastYear  = 9999
)

// slots are the intervals of a request (OPC 10000-13 §5.4.2.2), numbered ascending in time.
type slots struct {
	start, end int64 // of the request, in ticks
	step       int64 // length of all but the last interval of the request
	count      int64
	backward   bool
}

// slot is one interval: [lo, hi), of a backward request (lo, hi].
type slot struct {
	lo, hi   int64
	edge     int64 // the first time behind it: hi, or one tick more
	stamp    int64 // the time of its result
	backward bool
	short    bool // cut by the request's end
}

// newSlots refuses what makes no interval.
func newSlots(start, end time.Time, interval time.Duration) (slots, error) {
	for _, t := range [...]time.Time{start, end} {
		if y := t.UTC().Year(); y < firstYear || y > lastYear {
			return slots{}, fmt.Errorf("aggregate: year %d: %w", y, ua.StatusBadInvalidArgument)
		}
	}
	s := slots{start: ticks(start), end: ticks(end), step: int64(interval / tick)}
	s.backward = s.end < s.start
	length := max(s.end-s.start, s.start-s.end)
	if length == 0 {
		return slots{}, fmt.Errorf("aggregate: start and end are %v: %w", start.UTC(), ua.StatusBadInvalidArgument)
	}
	if interval < 0 || interval > 0 && s.step == 0 {
		return slots{}, fmt.Errorf("aggregate: interval %v: %w", interval, ua.StatusBadInvalidArgument)
	}
	if s.step == 0 || s.step > length {
		s.step = length
	}
	s.count = (length-1)/s.step + 1
	return s, nil
}

// at returns interval i.
func (s slots) at(i int64) slot {
	if s.backward {
		hi := s.start - (s.count-1-i)*s.step
		lo := max(hi-s.step, s.end)
		return slot{lo: lo, hi: hi, edge: hi + 1, stamp: hi, backward: true, short: hi-lo < s.step}
	}
	lo := s.start + i*s.step
	hi := min(lo+s.step, s.end)
	return slot{lo: lo, hi: hi, edge: hi, stamp: lo, short: hi-lo < s.step}
}

// noData is the result of an interval before, after or between the data.
func (s *slot) noData() Value {
	return Value{Time: fromTicks(s.stamp), Status: ua.StatusBadNoData}
}

// result is a value with the time of the interval. A Bad code has no value.
func (s *slot) result(v float64, code, bits ua.StatusCode) Value {
	if severity(code) == bad {
		return Value{Time: fromTicks(s.stamp), Status: withBits(code, bits)}
	}
	return Value{Time: fromTicks(s.stamp), Value: v, HasValue: true, Status: withBits(code, bits)}
}
