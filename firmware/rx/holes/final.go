package holes

import "slices"

// Lose makes everything from a to b final: the transmitter cannot send it again.
func (s *Set) Lose(a, b Position) {
	if b.Before(a) {
		return
	}
	lose := func(n *span) { s.end(*n) }
	if !s.cut(a, b, lose) { // in the middle of a span: its beginning goes too
		s.cut(s.open.at(a).a, b, lose)
	}
	s.endPool()
}

// LoseAll makes everything final.
func (s *Set) LoseAll() { s.Lose(Position{}, Position{^uint64(0), ^uint64(0)}) }

// end makes a span that was open final.
func (s *Set) end(n span) {
	if n.pooled {
		s.tail = n
		size := n.size()
		counted := s.drawAll(size)
		if counted == 0 { // what is left in the pool becomes final with its last span
			if s.ended > 0 {
				s.tail.from = min(n.from, s.ended)
			}
			s.ended = s.tail.from
			return
		}
		if n.pooled = false; counted < size {
			n.records = counted
		}
	}
	s.addFinal(n)
}

// addFinal adds a span to what is final.
func (s *Set) addFinal(n span) {
	if n.size() == 0 || s.final.join(&n) > 0 {
		return
	}
	i := s.final.find(n.a)
	if len(s.final) >= MaxFinal {
		if i == 0 {
			return
		}
		s.final = slices.Delete(s.final, 0, 1)
		i--
	}
	s.final = slices.Insert(s.final, i, n)
}

// drawAll takes n records from the pool, or all that there are, and returns how many.
func (s *Set) drawAll(n uint64) uint64 {
	n = min(n, s.pool.sum())
	unknown := min(n, s.pool.unknown)
	s.pool.unknown -= unknown
	s.pool.lost -= n - unknown
	return n
}

// endPool makes what is left in the pool final once no span has a share in it: those
// records never left.
func (s *Set) endPool() {
	if s.pooled > 0 {
		return
	}
	if n := s.pool; n.sum() > 0 {
		s.pool = pool{}
		s.Pool(n.sum(), n.unknown > 0)
	}
	s.ended = 0
}
