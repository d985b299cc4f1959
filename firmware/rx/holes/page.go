package holes

// Piece is a run of missing numbers within a page of records that are sent again.
type Piece struct {
	First, Last uint64
	next        uint64 // after the last number that arrived
	span        span
}

// Overlaps reports whether a number from first to last of an epoch is open.
func (s *Set) Overlaps(epoch, first, last uint64) bool {
	i := s.open.find(Position{epoch, first})
	return i < len(s.open) && !(Position{epoch, last}).Before(s.open[i].a)
}

// Cut removes the numbers from first to last of an epoch and appends the runs of those
// that were missing to dst. Each that arrives is to be given to Heal, and Decide to
// be called at the end. ok is false, and nothing has happened, when there is no room
// for what is left.
func (s *Set) Cut(dst []Piece, epoch, first, last uint64) (pieces []Piece, ok bool) {
	ok = s.cut(Position{epoch, first}, Position{epoch, last}, func(n *span) {
		p := Piece{First: first, Last: last, span: *n}
		if n.a.Epoch == epoch {
			p.First = max(p.First, n.a.Number)
		}
		if n.b.Epoch == epoch {
			p.Last = min(p.Last, n.b.Number)
		}
		p.next = p.First
		p.span.a, p.span.b = Position{epoch, p.First}, Position{epoch, p.Last}
		dst = append(dst, p)
	})
	return dst, ok
}

// Heal notes that a number of the piece has arrived, after lower ones, and returns
// what it was counted as.
func (s *Set) Heal(p *Piece, number uint64) Kind {
	kind := p.span.kind()
	if kind == Uncounted {
		kind = s.draw()
	}
	s.endPart(p, number-1)
	p.next = number + 1
	return kind
}

// endPart makes what has not arrived up to a number final.
func (s *Set) endPart(p *Piece, upTo uint64) {
	if p.next <= upTo {
		n := p.span
		n.a.Number, n.b.Number = p.next, upTo
		s.end(n)
	}
	p.next = max(p.next, upTo+1)
}

// Decide ends what Cut began: what has not arrived up to a number is final, and what
// is beyond it is open again.
func (s *Set) Decide(pieces []Piece, upTo uint64) {
	for i := range pieces {
		p := &pieces[i]
		if p.First <= upTo {
			s.endPart(p, min(p.Last, upTo))
		}
		if p.next <= p.Last {
			n := p.span
			n.a.Number = p.next
			s.insert(n)
		}
	}
	s.endPool()
}
