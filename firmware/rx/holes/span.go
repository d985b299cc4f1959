package holes

import (
	"slices"
	"sort"
	"time"
)

// span is a run of missing numbers, both ends included. When its ends are of
// different epochs it is everything in between, also of the epochs between them.
type span struct {
	a, b     Position
	from, to int64  // see Hole; ns since 1970
	records  uint64 // of a span of which some numbers are missing, not known which; else 0
	unknown  bool
	pooled   bool // its records are counted in the pool
}

// size returns how many numbers of the span are missing, 0 when its ends are of
// different epochs and it is not known.
func (n *span) size() uint64 {
	switch {
	case n.records > 0:
		return n.records
	case n.a.Epoch != n.b.Epoch:
		return 0
	}
	return n.b.Number - n.a.Number + 1
}

func (n *span) kind() Kind {
	switch {
	case n.pooled:
		return Uncounted
	case n.unknown:
		return Unknown
	}
	return Lost
}

func (n *span) sameKind(o *span) bool { return n.unknown == o.unknown && n.pooled == o.pooled }

// piece reports whether n and o, its predecessor, were one span.
func (n *span) piece(o *span) bool { return n.sameKind(o) && n.from == o.from && n.to == o.to }

// follows reports whether n continues o.
func (n *span) follows(o *span) bool {
	return o.b.Next() == n.a && n.sameKind(o) && n.records == 0 && o.records == 0
}

func (n *span) hole(records uint64) Hole {
	return Hole{
		First: n.a, Last: n.b, Records: records, Unknown: n.unknown, From: time.Unix(0, n.from), To: time.Unix(0, n.to),
	}
}

// list is spans in order.
type list []span

// find returns the index of the first span that does not end before p.
func (l list) find(p Position) int {
	return sort.Search(len(l), func(i int) bool { return !l[i].b.Before(p) })
}

// at returns the span that contains p, nil for none.
func (l list) at(p Position) *span {
	if i := l.find(p); i < len(l) && !p.Before(l[i].a) {
		return &l[i]
	}
	return nil
}

// join adds a span to one that it continues or that continues it, and returns how
// many spans there are less than with one more; 0: it has no such neighbour.
func (l *list) join(n *span) int {
	i := l.find(n.a)
	s := *l
	before, after := i > 0 && n.follows(&s[i-1]), i < len(s) && s[i].follows(n)
	switch {
	case before && after:
		s[i-1].merge(n)
		s[i-1].merge(&s[i])
		*l = slices.Delete(s, i, i+1)
		return 2
	case before:
		s[i-1].merge(n)
	case after:
		s[i].merge(n)
	default:
		return 0
	}
	return 1
}

// merge extends a span by a neighbour.
func (n *span) merge(o *span) {
	if o.a.Before(n.a) {
		n.a = o.a
	}
	if n.b.Before(o.b) {
		n.b = o.b
	}
	n.from, n.to = min(n.from, o.from), max(n.to, o.to)
}

// cut removes all numbers from a to b and calls f with each run of them. It does
// nothing, and returns false, when that would make more than limit spans.
func (l *list) cut(a, b Position, limit int, f func(*span)) bool {
	s := *l
	i := s.find(a)
	j := i
	var rest [2]span
	parts := rest[:0]
	for ; j < len(s) && !b.Before(s[j].a); j++ {
		if n := s[j]; n.a.Before(a) {
			n.b = a.previous()
			parts = append(parts, n)
		}
		if n := s[j]; b.Before(n.b) {
			n.a = b.Next()
			parts = append(parts, n)
		}
	}
	if more := len(parts) - (j - i); more > 0 && len(s)+more > limit {
		return false
	}
	for k := i; k < j && f != nil; k++ {
		n := s[k]
		if n.a.Before(a) {
			n.a = a
		}
		if b.Before(n.b) {
			n.b = b
		}
		f(&n)
	}
	*l = slices.Replace(s, i, j, parts...)
	return true
}

// insert adds a span that overlaps no other to those that are open.
func (s *Set) insert(n span) {
	if joined := s.open.join(&n); joined > 0 {
		if n.pooled {
			s.pooled -= joined - 1
		}
		return
	}
	if len(s.open) >= MaxSpans {
		if oldest := &s.open[0]; n.size() > 0 && n.size() < max(oldest.size(), 2) || n.a.Before(oldest.a) {
			s.end(n)
			return
		}
		s.Lose(s.open[0].a, s.open[0].b)
	}
	s.open = slices.Insert(s.open, s.open.find(n.a), n)
	if n.pooled {
		s.pooled++
	}
}

// cut removes all numbers from a to b from those that are open and calls f with each
// run of them. It does nothing, and returns false, when there is no room.
func (s *Set) cut(a, b Position, f func(*span)) bool {
	if !s.open.cut(a, b, MaxSpans, f) {
		return false
	}
	if s.pooled > 0 {
		s.pooled = 0
		for i := range s.open {
			if s.open[i].pooled {
				s.pooled++
			}
		}
	}
	return true
}
