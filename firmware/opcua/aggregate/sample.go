package aggregate

import (
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"
)

// class is the severity of a sample or a bounding value, after TreatUncertainAsBad.
type class uint8

const (
	good class = iota
	uncertain
	bad
)

// sample is a raw value. The zero value is none.
type sample struct {
	Value
	t     int64 // ticks
	class class
	ok    bool
}

// severity returns the class that a StatusCode has by itself (OPC 10000-4 §7.39).
func severity(code ua.StatusCode) class {
	return min(class(code>>30), bad)
}

// classOf returns the class of a raw value for an aggregate.
func (c Config) classOf(v *Value, numeric bool) class {
	k := severity(v.Status)
	if k == uncertain && c.TreatUncertainAsBad {
		return bad
	}
	if numeric && (!v.HasValue || math.IsNaN(v.Value)) {
		return bad
	}
	return k
}

// Usable reports whether a sample is not Bad for an aggregate that calculates with numbers, or for one
// that does not: Numeric says which an aggregate is.
func (c Config) Usable(v *Value, numeric bool) bool { return c.classOf(v, numeric) != bad }

// reader turns the values of a source into samples.
type reader struct {
	config  Config
	numeric bool
	last    sample // the newest
}

// read makes the next sample of v and refuses one that is older than the last.
func (r *reader) read(v *Value) error {
	t := ticks(v.Time)
	if r.last.ok && t < r.last.t {
		return fmt.Errorf("aggregate: sample of %v after one of %v", v.Time.UTC(), fromTicks(r.last.t))
	}
	r.last.Value, r.last.t, r.last.ok = *v, t, true
	r.last.class = r.config.classOf(v, r.numeric)
	return nil
}

// ticksPerSecond is the resolution of DateTime (OPC 10000-6 §5.2.2.5).
const ticksPerSecond = int64(time.Second / tick)

// tick is the resolution of times.
const tick = 100 * time.Nanosecond

// resolution is the server's time resolution of OPC 10000-13 §5.4.2.4, in ticks.
const resolution = int64(time.Millisecond / tick)

// ticks returns the time in units of 100 ns since 1970. Times outside of DateTime's range count
// as the nearest year that fits an int64.
func ticks(t time.Time) int64 {
	s := min(max(t.Unix(), -math.MaxInt64/ticksPerSecond+1), math.MaxInt64/ticksPerSecond-1)
	return s*ticksPerSecond + int64(t.Nanosecond())/int64(tick)
}

// fromTicks is the inverse of ticks, in UTC.
func fromTicks(t int64) time.Time {
	s, rest := t/ticksPerSecond, t%ticksPerSecond
	return time.Unix(s, rest*int64(tick)).UTC()
}

// seconds converts a duration in ticks.
func seconds(d int64) float64 { return float64(d) / float64(ticksPerSecond) }

// milliseconds converts a duration in ticks to OPC UA's Duration.
func milliseconds(d int64) float64 { return float64(d) / float64(resolution) }

// line returns the value at t on the line through two samples.
func line(a, b *sample, t int64) float64 {
	if b.t == a.t {
		return a.Value.Value
	}
	return a.Value.Value + (b.Value.Value-a.Value.Value)*(float64(t-a.t)/float64(b.t-a.t))
}
