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

	next   int64 // intervals so far
	atOnce int64 // intervals that are computed together next; 0: backwardAtOnce
}

// backwardAtOnce is how many intervals are computed together at most where the latest comes first: their
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
	first := p.next
	for room := true; room && p.next < count && (p.next == first || !w.spent()); {
		x := p.part()
		x.begun = p.next > first
		room, err = p.readPart(x, each, w, emit)
		switch paused := errors.Is(err, errPause); {
		case x.held > 1 && (paused || errors.Is(err, ErrTooMuch)):
			// The first of them is computed alone, then twice as many each time: of the samples that are
			// read, those of results are no small part.
			p.atOnce = 1
		case paused:
			return true, nil
		case err != nil:
			return false, err
		default:
			p.atOnce = min(2*x.held, backwardAtOnce)
		}
	}
	return p.next < count, nil
}

// part is what is computed next.
type part struct {
	start, end int64
	skip       int   // intervals that were returned before: beside one the last shows that it is shorter
	held       int64 // intervals whose results are held until all of them are computed, else 1
	begun      bool  // the response has results
}

// part returns the domain of what is computed next.
func (p *Processed) part() part {
	step, count := p.step()
	from, skip := p.next, 0
	if from > 0 && from == count-1 {
		from, skip = from-1, 1
	}
	if p.Start < p.End {
		return part{start: p.Start + from*step, end: p.End, skip: skip, held: 1}
	}
	x := part{start: p.Start - from*step, end: p.End, skip: skip, held: p.atOnce}
	if x.held == 0 {
		x.held = backwardAtOnce
	}
	if behind := p.next + x.held; behind < count {
		x.end = p.Start - behind*step
	} else {
		x.held = count - p.next
	}
	return x
}

// readPart emits the results of a part, and reports whether there is room for others. What was computed
// backward is emitted when the time is over, too.
func (p *Processed) readPart(x part, each Source, w *Work, emit Emit) (room bool, err error) {
	r := reading{each: each, work: w, config: p.Config, numeric: aggregate.Numeric(p.Aggregate), skip: x.skip,
		pauses: x.begun || x.held > 1}
	kind, backward := aggregate.Result(p.Aggregate), x.end < x.start
	room = true
	err = aggregate.Compute(p.Aggregate, r.from(min(x.start, x.end)), uabinary.Time(x.start), uabinary.Time(x.end),
		p.Interval, p.Config, func(v aggregate.Value) bool {
			r.since = 0
			if r.skip > 0 {
				r.skip--
				return true
			}
			p.next++
			r.pauses = true
			room = emit(r.result(kind, v))
			return room && (backward || !w.Late())
		})
	return room, err
}
