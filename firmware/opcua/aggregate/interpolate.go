package aggregate

import "github.com/gopcua/opcua/ua"

// path follows the samples that are not Bad, for the aggregates with interpolated bounding values
// (OPC 10000-13 §3.1.8).
type path struct {
	config  Config
	older   sample // the one before a
	a       sample // the newest usable sample
	broken  bool   // Bad samples since a
	bad     int64  // the time of the first of them
	any     bool   // samples were read
	first   int64  // the time of the first and the newest sample of any class
	newest  int64
	stepped bool
}

// follow reads the source and calls reach for every usable sample, before it becomes a. It ends when
// reach returns false; done reports whether it did.
func (p *path) follow(q *request, reach func(b *sample) bool) (done bool, err error) {
	p.config = q.config
	in := reader{config: q.config, numeric: q.numeric}
	s := &in.last
	for v, err := range q.values {
		if err != nil {
			return false, err
		}
		if err := in.read(&v); err != nil {
			return false, err
		}
		if !p.any {
			p.first, p.any = s.t, true
		}
		p.newest = s.t
		switch {
		case s.class != bad:
			if !reach(s) {
				return true, nil
			}
			p.older, p.a, p.broken = p.a, *s, false
		case !p.broken:
			p.broken, p.bad = true, s.t
		}
	}
	return false, nil
}

// clean reports whether the way from a to b at t has Good ends and no Bad sample.
func (p *path) clean(b *sample, t int64) bool {
	if p.stepped {
		return p.a.class == good && (!p.broken || p.bad > t)
	}
	return p.a.class == good && b.class == good && !p.broken
}

// at returns the value at t between a and b.
func (p *path) at(b *sample, t int64) float64 {
	if p.stepped {
		return p.a.Value.Value
	}
	return line(&p.a, b, t)
}

// beyond returns the value at t after a, where no usable sample follows.
func (p *path) beyond(t int64) float64 {
	if p.stepped || !p.config.UseSlopedExtrapolation || !p.older.ok || p.older.t == p.a.t {
		return p.a.Value.Value
	}
	return line(&p.older, &p.a, t)
}

// interpolative is the aggregate Interpolative (OPC 10000-13 §5.4.3.4).
func interpolative(q *request) error {
	p := path{stepped: q.config.Stepped}
	i, open := int64(0), true
	w := q.slots.at(0)
	next := func(v Value) {
		i++
		if open = q.emit(v) && i < q.slots.count; open {
			w = q.slots.at(i)
		}
	}
	done, err := p.follow(q, func(b *sample) bool {
		for open && w.stamp < b.t {
			next(p.interpolated(&w, b))
		}
		return open
	})
	if done || err != nil {
		return err
	}
	for open {
		next(p.extrapolated(&w))
	}
	return nil
}

// interpolated is the value at an interval's start, with b the next usable sample.
func (p *path) interpolated(w *slot, b *sample) Value {
	switch {
	case !p.a.ok:
		return w.noData()
	case p.a.t == w.stamp:
		return asIs(&p.a, bitRaw)
	}
	return w.result(p.at(b, w.stamp), downgrade(!p.clean(b, w.stamp)), bitInterpolated)
}

// extrapolated is the value at an interval's start after the last usable sample.
func (p *path) extrapolated(w *slot) Value {
	switch {
	case !p.a.ok:
		return w.noData()
	case p.a.t == w.stamp:
		return asIs(&p.a, bitRaw)
	}
	code := ua.StatusUncertainDataSubNormal
	if p.stepped && w.stamp <= p.newest && p.clean(nil, w.stamp) {
		code = ua.StatusOK
	}
	return w.result(p.beyond(w.stamp), code, bitInterpolated)
}

// stretch is the part of the path within one interval.
type stretch struct {
	slot
	area  float64 // value times seconds
	used  int64   // ticks
	doubt bool    // parts that are not Good
}

// timeAverage is the aggregate TimeAverage, or Total: its product with the time
// (OPC 10000-13 §5.4.3.6, §5.4.3.8). The line is sloped whether or not the Variable is Stepped.
func timeAverage(total bool) runner {
	return func(q *request) error {
		p := path{}
		i, open := int64(0), true
		w := stretch{slot: q.slots.at(0)}
		next := func(v Value) {
			i++
			if open = q.emit(v) && i < q.slots.count; open {
				w = stretch{slot: q.slots.at(i)}
			}
		}
		done, err := p.follow(q, func(b *sample) bool {
			for open && w.lo < b.t {
				w.between(&p, b)
				if b.t < w.hi {
					break
				}
				next(w.close(&p, total, true))
			}
			return open
		})
		if done || err != nil {
			return err
		}
		for open {
			w.after(&p)
			next(w.close(&p, total, p.newest >= w.hi))
		}
		return nil
	}
}

// between adds the part of the way from a to b that lies in the interval.
func (w *stretch) between(p *path, b *sample) {
	from, to := max(w.lo, p.a.t), min(w.hi, b.t)
	if !p.a.ok || to <= from {
		return
	}
	w.piece(p.at(b, from), p.at(b, to), to-from)
	w.doubt = w.doubt || !p.clean(b, from)
}

// after adds the part behind the last usable sample, if the interval has data.
func (w *stretch) after(p *path) {
	from := max(w.lo, p.a.t)
	if !p.a.ok || p.newest < w.lo || w.backward && p.newest == w.lo || from >= w.hi {
		return
	}
	w.piece(p.beyond(from), p.beyond(w.hi), w.hi-from)
	w.doubt = true
}

// piece adds a trapezium.
func (w *stretch) piece(v0, v1 float64, d int64) {
	w.area += (v0 + v1) / 2 * seconds(d)
	w.used += d
}

// close returns the result; ends reports whether the data reaches the end of the interval.
func (w *stretch) close(p *path, total, ends bool) Value {
	if w.used == 0 {
		return w.noData()
	}
	bits := bitCalculated
	if w.short || !ends || p.first > w.lo {
		bits |= bitPartial
	}
	v := w.area
	if !total {
		v /= seconds(w.used)
	}
	return w.result(v, downgrade(w.doubt || w.used < w.hi-w.lo), bits)
}
