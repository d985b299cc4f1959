package historyread

import (
	"math"
	"time"

	"heliograph/firmware/opcua/uabinary"
)

// Each calls f with the entries from one time to another, both included: the oldest first, or,
// if from is after to, the newest first. It ends when f returns false.
type Each[E any] func(from, to time.Time, f func(at time.Time, entry E) bool) error

// Source yields the DataValues of a node, each as it is kept. f must not keep the bytes.
type Source = Each[[]byte]

// The times that are walked lie between these: nanoseconds since 1970 hold them.
var (
	earliest = uabinary.Ticks(time.Unix(0, math.MinInt64)) + 1
	latest   = uabinary.Ticks(time.Unix(0, math.MaxInt64))
)

// clamp returns a DateTime within what can be walked.
func clamp(t int64) time.Time { return uabinary.Time(min(max(t, earliest), latest)) }

// Domain is the time domain of a request (OPC 10000-11 §4.4): at least two of its three
// parameters are specified.
type Domain struct {
	Start, End int64
	Limit      uint32 // entries: in one response, or where one time is missing, in total; 0: no limit
}

// Valid reports whether enough of the domain is specified.
func (d Domain) Valid() bool {
	return d.Start != 0 && d.End != 0 || (d.Start != 0 || d.End != 0) && d.Limit != 0
}

// backward reports whether later entries come first.
func (d Domain) backward() bool { return d.Start == 0 || d.End != 0 && d.End < d.Start }

// first returns where the walk begins.
func (d Domain) first() int64 {
	if d.Start == 0 {
		return d.End
	}
	return d.Start
}

// open reports whether the domain has no end: the limit ends it.
func (d Domain) open() bool { return d.Start == 0 || d.End == 0 }

// ahead returns the time by so many ticks further in the direction of the walk, within what can
// be walked.
func (d Domain) ahead(t, ticks int64) int64 {
	t = min(max(t, earliest), latest)
	if d.backward() {
		return t - ticks
	}
	return t + ticks
}

// horizon returns the farthest time ahead, and the farthest one behind.
func (d Domain) horizon() (ahead, behind int64) {
	if d.backward() {
		return earliest, latest
	}
	return latest, earliest
}

// lastIncluded returns the last time of the domain: an entry at its end belongs to the next
// domain, unless beginning and end are the same.
func (d Domain) lastIncluded() int64 {
	switch {
	case d.open():
		ahead, _ := d.horizon()
		return ahead
	case d.Start == d.End:
		return d.Start
	}
	return d.ahead(d.End, -1)
}

// position is where a walk goes on: at a time, behind the entries of that time that it has
// passed.
type position struct {
	at   int64
	skip uint32
}

// walk calls visit with the entries from a position to a time, both included, and moves the
// position behind those that visit accepts. It ends at the first one that visit does not accept:
// ended is false then.
func walk[E any](each Each[E], p *position, to int64, visit func(at int64, entry E) bool) (ended bool, err error) {
	ended = true
	skip := p.skip
	err = each(clamp(p.at), clamp(to), func(t time.Time, entry E) bool {
		at := uabinary.Ticks(t)
		if at == p.at && skip > 0 {
			skip--
			return true
		}
		if !visit(at, entry) {
			ended = false
			return false
		}
		if at != p.at {
			p.at, p.skip = at, 0
		}
		p.skip++
		return true
	})
	return ended, err
}
