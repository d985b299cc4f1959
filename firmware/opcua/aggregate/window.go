package aggregate

import "github.com/gopcua/opcua/ua"

// window is an interval together with the raw samples around it.
type window struct {
	slot
	config Config
	before sample // the last one before the interval
	first  sample // in the interval
	last   sample // in the interval
	after  sample // the first one behind the interval
	usable sample // the last non-Bad one before the one that is added
	count  int64  // samples in the interval
}

// tally computes the results of intervals, one after another.
type tally interface {
	reset()
	// add takes a sample of the interval; w does not contain it yet.
	add(w *window, s *sample)
	// close returns the result. The interval has samples, or samples on both sides.
	close(w *window) Value
}

// raw runs a tally over the samples as they are.
func raw(tally func() tally) runner {
	return func(q *request) error {
		r := run{tally: tally(), all: q.slots, emit: q.emit, open: true}
		r.window = window{slot: q.slots.at(0), config: q.config}
		r.tally.reset()
		return r.over(q)
	}
}

// run closes each interval when the first sample behind it is there.
type run struct {
	window
	tally tally
	all   slots
	i     int64 // the open interval
	open  bool  // there is one, and emit wants it
	emit  func(Value) bool
}

// over reads the source.
func (r *run) over(q *request) error {
	in := reader{config: q.config, numeric: q.numeric}
	s := &in.last
	begin := r.lo
	if r.backward {
		begin++
	}
	for v, err := range q.values {
		if err != nil {
			return err
		}
		if err := in.read(&v); err != nil {
			return err
		}
		for r.open && s.t >= r.edge {
			r.after = *s
			r.next()
		}
		if !r.open {
			return nil
		}
		if s.t < begin {
			r.before = *s
		} else {
			r.add(s)
		}
		if s.class != bad {
			r.usable = *s
		}
	}
	for r.open {
		r.next()
	}
	return nil
}

// add puts a sample into the interval.
func (r *run) add(s *sample) {
	r.tally.add(&r.window, s)
	if r.count == 0 {
		r.first = *s
	}
	r.last = *s
	r.count++
}

// next emits the result of the interval and opens the following one.
func (r *run) next() {
	result := r.noData()
	if r.count > 0 || r.before.ok && r.after.ok {
		result = r.tally.close(&r.window)
	}
	r.i++
	r.open = r.emit(result) && r.i < r.all.count
	if !r.open {
		return
	}
	if r.count > 0 {
		r.before = r.last
	}
	r.slot, r.count = r.all.at(r.i), 0
	r.first, r.last, r.after = sample{}, sample{}, sample{}
	r.tally.reset()
}

// newest returns the last sample up to now.
func (w *window) newest() *sample {
	if w.count > 0 {
		return &w.last
	}
	return &w.before
}

// oldest returns the first sample from the interval's begin on.
func (w *window) oldest() *sample {
	if w.count > 0 {
		return &w.first
	}
	return &w.after
}

// until returns where the data of the interval ends: at its end, or one unit of the time
// resolution after the last sample there is (OPC 10000-13 §5.4.2.4).
func (w *window) until() int64 {
	if w.after.ok {
		return w.hi
	}
	return min(w.hi, w.newest().t+resolution)
}

// partial returns the bit for an interval that is cut, or that the data does not fill
// (OPC 10000-13 §5.3.3.2).
func (w *window) partial() ua.StatusCode {
	begins := w.before.ok || w.first.ok && w.first.t <= w.lo
	ends := w.after.ok || w.newest().t >= w.hi
	if w.short || !begins || !ends {
		return bitPartial
	}
	return 0
}

// calculated is the bits of most results.
func (w *window) calculated() ua.StatusCode { return bitCalculated | w.partial() }

// point is a bounding value.
type point struct {
	value  float64
	raw    *sample // the sample at that time, nil if there is none
	class  class   // bad: there is no bounding value
	status ua.StatusCode
}

// simple returns the simple bounding value at t between two neighbouring samples, a at or before t
// and b at or after it (OPC 10000-13 §3.1.9).
func (c Config) simple(t int64, a, b *sample) point {
	switch {
	case b.ok && b.t == t:
		return pointOf(b)
	case a.ok && a.t == t:
		return pointOf(a)
	case !a.ok || !b.ok || a.class == bad:
		return point{class: bad, status: ua.StatusBadNoData}
	}
	p := point{value: a.Value.Value, class: a.class}
	if !c.Stepped && b.class == bad {
		p.class = uncertain
	} else if !c.Stepped {
		p.value, p.class = line(a, b, t), max(a.class, b.class)
	}
	p.status = downgrade(p.class != good)
	return p
}

// pointOf is the bound at the time of a sample.
func pointOf(s *sample) point {
	if s.class == bad {
		return point{class: bad, status: ua.StatusBadNoData}
	}
	return point{value: s.Value.Value, raw: s, class: s.class, status: s.Status}
}

// lower and upper return the bounds at the two ends of a complete interval.
func (w *window) lower() point { return w.config.simple(w.lo, &w.before, w.oldest()) }
func (w *window) upper() point { return w.config.simple(w.hi, w.newest(), &w.after) }
