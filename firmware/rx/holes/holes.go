// Package holes is the set of a channel's numbers that are missing: which ones, since
// when, and whether they may still arrive.
//
//	holes.go   the set, and what is added to it
//	span.go    its runs of numbers
//	page.go    what a page of replayed records fills
//	final.go   what is missing for good
//	encode.go  the form in which it is kept
//
// A number is missing when it was lost, or when it is not known whether it was
// delivered. It is open while the transmitter may send its record again; then it is
// filled, or it becomes final. Numbers of several epochs are ordered by epoch, then
// by number, so that "the end of epoch 4, and all of epochs 5 and 6" is one run. How
// many records such runs have is not known: the set's pool has their sum, as the
// transmitter's totals give it.
//
// The set is bounded. Beyond MaxSpans runs a run becomes final: the oldest, unless
// the newest is smaller. Of what is final the newest MaxFinal runs are kept.
//
// The package is pure. It refuses to count what is delivered: that is the account of
// package mirror.
package holes

import (
	"slices"
	"time"
)

// Our own bounds.
const (
	// MaxSpans bounds the runs of open numbers, of 64 bytes each. A receiver whose
	// state is restored key by key while an outage heals has about one for each key.
	MaxSpans = 8192
	// MaxFinal bounds the runs of numbers kept that are final.
	MaxFinal = 1024
)

// Position is a number of an epoch. Number 0 stands before the epoch's first record.
type Position struct{ Epoch, Number uint64 }

// Before reports whether p is less than q.
func (p Position) Before(q Position) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Number < q.Number
}

// Next returns the position after p in its epoch.
func (p Position) Next() Position { return Position{p.Epoch, p.Number + 1} }

// previous returns the position before p, whose number is not 0.
func (p Position) previous() Position { return Position{p.Epoch, p.Number - 1} }

// Kind is what a missing number is counted as.
type Kind uint8

// The kinds of numbers.
const (
	None      Kind = iota // it is not missing
	Lost                  // for certain
	Unknown               // it may have been delivered
	Uncounted             // of an epoch whose number of records is not known yet
	Stuck                 // it is missing, but there is no room to note that it is not any more
)

// Hole is a time during which records are missing.
type Hole struct {
	First, Last Position
	Records     uint64
	Unknown     bool // some of them may have been delivered
	Final       bool // they are lost for good
	// From is when the last record or totals before the hole arrived, To when the first one
	// after it did, by the receiver's clock.
	From, To time.Time
}

// Set is the set of a channel. The zero value is empty and ready. Not safe for
// concurrent use.
type Set struct {
	// Closed has what is missing be final at once: the channel's sink does not take
	// records late.
	Closed bool

	open   list // none empty
	pooled int  // of them
	pool   pool
	tail   span  // what AddEarlier was called with last
	ended  int64 // from when the pool's records are missing whose spans are final; 0: there are none
	final  list
}

// pool is how many records the pooled spans have.
type pool struct{ lost, unknown uint64 }

func (p pool) sum() uint64 { return p.lost + p.unknown }

// Add adds the numbers first to last of an epoch; those that are in the set already
// stay as they are. from and to are times in ns since 1970, as of Hole.
func (s *Set) Add(epoch, first, last uint64, unknown bool, from, to int64) {
	n := span{a: Position{epoch, first}, b: Position{epoch, last}, from: from, to: to, unknown: unknown}
	if s.Closed {
		s.end(n)
		return
	}
	for i := s.open.find(n.a); i < len(s.open) && !n.b.Before(s.open[i].a); i = s.open.find(n.a) {
		if known := s.open[i]; n.a.Before(known.a) {
			part := n
			part.b = known.a.previous()
			s.insert(part)
			n.a = known.a
		} else if n.a = known.b.Next(); n.b.Before(known.b.Next()) {
			return
		}
	}
	s.insert(n)
}

// AddEarlier adds everything from a position to the end of the epoch before a later
// one. Pool gives the number of its records.
func (s *Set) AddEarlier(first Position, before uint64, from, to int64) {
	s.tail = span{a: first, b: Position{Epoch: before}, from: from, to: to, unknown: true, pooled: true}
	if !s.Closed {
		s.insert(s.tail)
	}
}

// Pool adds n records to those that what AddEarlier added has.
func (s *Set) Pool(n uint64, unknown bool) {
	switch {
	case s.pooled == 0:
		lost := s.tail
		lost.unknown, lost.pooled, lost.records = unknown, false, n
		s.addFinal(lost)
	case unknown:
		s.pool.unknown += n
	default:
		s.pool.lost += n
	}
}

// NoneEarlier removes what AddEarlier added if no record is known to be in it: there
// are as many as have arrived.
func (s *Set) NoneEarlier() {
	if s.pooled > 0 && s.pool.sum() == 0 {
		s.open = slices.DeleteFunc(s.open, func(n span) bool { return n.pooled })
		s.pooled = 0
	}
}

// Empty reports whether nothing is open.
func (s *Set) Empty() bool { return len(s.open) == 0 }

// First returns the first open position; ok is false without one.
func (s *Set) First() (p Position, ok bool) { return s.FirstAfter(Position{}) }

// FirstAfter returns the first open position after one.
func (s *Set) FirstAfter(p Position) (first Position, ok bool) {
	i := s.open.find(p.Next())
	if i == len(s.open) {
		return first, false
	}
	if first = s.open[i].a; first.Before(p.Next()) {
		first = p.Next()
	}
	return first, true
}

// Fill removes a number, which has arrived though it may be final, and returns what it
// was counted as.
func (s *Set) Fill(p Position) Kind {
	if n := s.open.at(p); n != nil {
		kind := n.kind()
		switch {
		case !s.cut(p, p, nil):
			return Stuck
		case kind == Uncounted:
			kind = s.draw()
			s.endPool()
		}
		return kind
	}
	if n := s.final.at(p); n != nil && n.records == 0 {
		kind := n.kind()
		if s.final.cut(p, p, MaxFinal, nil) {
			return kind
		}
		return Stuck
	}
	return None
}

// draw takes a record from the pool.
func (s *Set) draw() Kind {
	switch {
	case s.pool.unknown > 0:
		s.pool.unknown--
		return Unknown
	case s.pool.lost > 0:
		s.pool.lost--
		return Lost
	}
	return Uncounted
}

// Open returns how many records are missing that may still arrive, as far as that is
// known, without those of spans that hold no record for certain.
func (s *Set) Open() (records uint64) {
	for i := range s.open {
		if !s.open[i].pooled {
			records += s.open[i].size()
		}
	}
	return records + s.pool.sum()
}

// Holes returns the holes, oldest first. Runs that were one hole before parts of it
// were filled are one.
func (s *Set) Holes() []Hole {
	var found []Hole
	for i := range s.final {
		n := &s.final[i]
		if i > 0 && n.piece(&s.final[i-1]) {
			found[len(found)-1].extend(n, n.size())
			continue
		}
		h := n.hole(n.size())
		h.Final = true
		found = append(found, h)
	}
	pool := s.pool.sum()
	for i := range s.open {
		n := &s.open[i]
		records := n.size()
		if n.pooled {
			records = min(records, pool)
			if n.a.Epoch != n.b.Epoch {
				records = pool
			}
			pool -= records
		}
		if i > 0 && n.piece(&s.open[i-1]) {
			found[len(found)-1].extend(n, records)
			continue
		}
		found = append(found, n.hole(records))
	}
	found = slices.DeleteFunc(found, func(h Hole) bool { return h.Records == 0 })
	slices.SortStableFunc(found, func(x, y Hole) int { return x.From.Compare(y.From) })
	return found
}

func (h *Hole) extend(n *span, records uint64) { h.Last, h.Records = n.b, h.Records+records }
