package historyread

import (
	"errors"
	"math"
	"time"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/uabinary"
)

// Processed reads an aggregate (OPC 10000-11 §6.5.4, OPC 10000-13).
// With its exported fields set it is ready to begin; a copy is a continuation point.
type Processed struct {
	Aggregate  uint32 // its identifier in namespace 0, one that package aggregate supports
	Start, End int64  // both specified, and not equal
	Interval   time.Duration
	Config     aggregate.Config

	next int64 // intervals so far
}

// backwardAtOnce is how many intervals are computed together where the latest comes first: their
// results are held.
const backwardAtOnce = 64

// MaxInterval is the longest interval, of 292 years.
const MaxInterval = time.Duration(math.MaxInt64)

// step returns the length of an interval in ticks, and how many there are.
func (p *Processed) step() (step, count int64) {
	length := max(p.End-p.Start, p.Start-p.End)
	step = int64(p.Interval / 100)
	if step == 0 || step > length {
		step = length
	}
	return step, (length-1)/step + 1
}

// Read emits results until the response is full, its work done, or the domain ends. more is true
// if there are more of them. Errors are those of package aggregate, ErrTooMuch or the source's.
func (p *Processed) Read(each Source, w *Work, emit Emit) (more bool, err error) {
	_, count := p.step()
	room := true
	for begun := false; room && p.next < count && err == nil && !(begun && w.spent()); begun = true {
		r := reading{each: each, work: w, config: p.Config}
		start, end, skip := p.part()
		kind := aggregate.Result(p.Aggregate)
		err = aggregate.Compute(p.Aggregate, r.from(min(start, end)), uabinary.Time(start), uabinary.Time(end),
			p.Interval, p.Config, func(v aggregate.Value) bool {
				if skip > 0 {
					skip--
					return true
				}
				p.next++
				r.some, r.since = true, 0
				room = emit(r.result(kind, v)) && !w.Late()
				return room
			})
		if errors.Is(err, errPause) {
			return true, nil
		}
	}
	return p.next < count && err == nil, err
}

// part returns the domain of what is computed next, and how many of its intervals were returned
// before: the last one may be shorter than the others, and only beside another one it shows.
func (p *Processed) part() (start, end int64, skip int) {
	step, count := p.step()
	from := p.next
	if from > 0 && from == count-1 {
		from, skip = from-1, 1
	}
	if p.Start < p.End {
		return p.Start + from*step, p.End, skip
	}
	start, end = p.Start-from*step, p.End
	if count-from > backwardAtOnce {
		end = start - backwardAtOnce*step
	}
	return start, end, skip
}
