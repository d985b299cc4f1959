package aggregate

import (
	"fmt"
	"iter"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Value is a raw sample, or a result.
type Value struct {
	Time     time.Time // read and compared with the resolution of DateTime, 100 ns
	Value    float64   // of a sample: its number, a Boolean as 0 or 1
	HasValue bool      // Value, and of a result Value or Raw, counts
	Status   ua.StatusCode
	// Raw is passed from a sample to a result that is that sample's value unchanged, so that the
	// caller can return the original Variant; nil in all other results.
	Raw any
}

// Config is the AggregateConfiguration of a request (OPC 10000-13 §4.2.1.2).
type Config struct {
	TreatUncertainAsBad    bool
	PercentDataBad         uint8 // 0 to 100
	PercentDataGood        uint8 // 0 to 100, at least 100 − PercentDataBad
	UseSlopedExtrapolation bool
	// Stepped is the Variable's property of OPC 10000-11: a value holds until the next. It is true
	// for any type that is not numeric.
	Stepped bool
}

// DefaultConfig returns the defaults of OPC 10000-13 §4.2.1.2.
func DefaultConfig() Config {
	return Config{TreatUncertainAsBad: true, PercentDataBad: 100, PercentDataGood: 100}
}

// check returns Bad_AggregateInvalidInputs for percentages that decide nothing.
func (c Config) check() error {
	if c.PercentDataBad > 100 || c.PercentDataGood > 100 || int(c.PercentDataBad)+int(c.PercentDataGood) < 100 {
		return fmt.Errorf("aggregate: PercentDataBad %d and PercentDataGood %d: %w",
			c.PercentDataBad, c.PercentDataGood, ua.StatusBadAggregateInvalidInputs)
	}
	return nil
}

// Source is the samples of a Variable, ascending in time, for a request between two times. It
// begins with the second usable sample (Config.Usable) before the earlier time, or an older one, or
// the oldest there is; it ends with the first usable sample after the later time, or a newer one, or
// the newest there is. Compute stops reading as soon as it knows enough, so a store may serve
// everything from the first on. Where samples are missing at either end the data counts as
// beginning or ending there: a value that still holds now is a sample of now. An error ends the
// computation.
type Source = iter.Seq2[Value, error]

// Compute computes one aggregate over the intervals of a request and passes the results to emit
// in the order of OPC 10000-13 §5.4.2.2: from start on, backwards where end is before start. An
// interval of 0, or one that is not shorter than the range, is one interval. It returns early
// without an error when emit returns false. Results have the time of the interval's start, the
// aggregates with ActualTime in their name, Start and End that of the sample.
//
// Errors wrap a StatusCode: Bad_AggregateNotSupported, Bad_AggregateInvalidInputs (percentages),
// Bad_InvalidArgument (start equals end, a negative interval or one below 100 ns, a time outside
// of DateTime's range); or they are the source's own. Samples that are not in order are an error.
func Compute(id uint32, values Source, start, end time.Time, interval time.Duration, c Config,
	emit func(Value) bool) error {
	f := find(id)
	if f == nil {
		return fmt.Errorf("aggregate: i=%d: %w", id, ua.StatusBadAggregateNotSupported)
	}
	if err := c.check(); err != nil {
		return err
	}
	s, err := newSlots(start, end, interval)
	if err != nil {
		return err
	}
	q := request{values: values, slots: s, config: c, numeric: f.numeric, emit: emit}
	if !s.backward {
		return f.run(&q)
	}
	var results []Value
	q.emit = func(v Value) bool {
		results = append(results, v)
		return true
	}
	err = f.run(&q)
	for i := len(results) - 1; i >= 0 && err == nil; i-- {
		if !emit(results[i]) {
			break
		}
	}
	return err
}
