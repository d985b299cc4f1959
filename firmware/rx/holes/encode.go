package holes

import (
	"encoding/binary"
	"errors"
	"time"
)

// The form in which a set is kept: integers are uvarints, times zig-zag varints in
// microseconds since 1970.
//
//	set    version(1): 1, lost unknown (of the pool) excess final(count) hole* run*; a hole is a run that is final
//	hole   flags first last, without flag 4: from to−from; records, 0: all
//	run    flags first last, without flag 4: from to−from
//	first  a number; where its epoch is not that of the last position: epoch, number
//	last   number of numbers after first; where it is of a later epoch: epochs after
//	       it, number
//	flags  1 unknown, 2 pooled, 4 times as of the run before, 8 first is of another
//	       epoch than the last position, 16 last is of another epoch than first;
//	       first without 8: its distance to the last position
//
// Excess is how many numbers are in the runs beyond those that are missing.
const version = 1

const (
	flagUnknown = 1 << iota
	flagPooled
	flagPiece
	flagEpoch
	flagSpan
)

var errMalformed = errors.New("holes: malformed")

// Append appends the set in at most limit bytes. Where they are not enough, runs that
// were one hole are written as one, with what was filled of it, and then the oldest
// are left out.
func (s *Set) Append(dst []byte, limit int) []byte {
	mark, open, final := len(dst), s.open, s.final
	dst = s.encode(dst, open, final, 0)
	for len(dst)-mark > limit && len(open)+len(final) > 0 {
		short, excess := coarse(open)
		final = final[max(0, len(final)-keepFinal):]
		if dst = s.encode(dst[:mark], short, final, excess); len(dst)-mark > limit {
			open, final = open[(len(open)+1)/2:], final[(len(final)+1)/2:]
		}
	}
	return dst
}

// keepFinal is how many of the holes that are final are kept where room is short.
const keepFinal = 20

// coarse returns the runs with those that were one hole as one, and how many numbers
// that adds.
func coarse(open list) (short list, excess uint64) {
	for i := range open {
		n := open[i]
		if k := len(short) - 1; k >= 0 && n.piece(&short[k]) && !n.pooled && n.a.Epoch == short[k].b.Epoch {
			excess += n.a.Number - short[k].b.Number - 1
			short[k].b = n.b
			continue
		}
		short = append(short, n)
	}
	return short, excess
}

func (s *Set) encode(dst []byte, open, final list, excess uint64) []byte {
	dst = append(dst, version)
	for _, v := range []uint64{s.pool.lost, s.pool.unknown, excess, uint64(len(final))} {
		dst = binary.AppendUvarint(dst, v)
	}
	at := Position{}
	for i := range final {
		dst, at = appendSpan(dst, at, final, i)
		dst = binary.AppendUvarint(dst, final[i].records)
	}
	at = Position{}
	for i := range open {
		dst, at = appendSpan(dst, at, open, i)
	}
	return dst
}

// appendSpan appends span i of a list after the position at, and returns its end.
func appendSpan(dst []byte, at Position, l list, i int) ([]byte, Position) {
	n := &l[i]
	piece := i > 0 && n.piece(&l[i-1])
	flags := flag(n.unknown, flagUnknown) | flag(n.pooled, flagPooled) | flag(piece, flagPiece)
	dst, at = appendRun(dst, at, n.a, n.b, flags)
	if piece {
		return dst, at
	}
	return appendTimes(dst, n.from, n.to), at
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// appendRun appends a run of numbers after the position at, and returns its end.
func appendRun(dst []byte, at, a, b Position, flags byte) ([]byte, Position) {
	far := a.Epoch != at.Epoch || a.Number < at.Number
	flags |= flag(far, flagEpoch) | flag(a.Epoch != b.Epoch, flagSpan)
	dst = append(dst, flags)
	if far {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, a.Epoch), a.Number)
	} else {
		dst = binary.AppendUvarint(dst, a.Number-at.Number)
	}
	if a.Epoch != b.Epoch {
		return binary.AppendUvarint(binary.AppendUvarint(dst, b.Epoch-a.Epoch), b.Number), b
	}
	return binary.AppendUvarint(dst, b.Number-a.Number), b
}

func appendTimes(dst []byte, from, to int64) []byte {
	const us = int64(time.Microsecond)
	return binary.AppendVarint(binary.AppendVarint(dst, from/us), to/us-from/us)
}

// reader reads what Append wrote.
type reader struct {
	rest []byte
	bad  bool
	at   Position
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) times() (from, to int64) {
	from, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0, 0
	}
	length, m := binary.Varint(r.rest[n:])
	if m <= 0 {
		r.bad = true
		return 0, 0
	}
	r.rest = r.rest[n+m:]
	return from * int64(time.Microsecond), (from + length) * int64(time.Microsecond)
}

// span reads a run of numbers, none of which overflows. before is the one before it.
func (r *reader) span(before list) (n span) {
	if len(r.rest) == 0 {
		r.bad = true
		return n
	}
	flags := r.rest[0]
	r.rest = r.rest[1:]
	n.unknown, n.pooled = flags&flagUnknown != 0, flags&flagPooled != 0
	if flags&flagEpoch != 0 {
		n.a = Position{r.uvarint(), r.uvarint()}
	} else {
		n.a = Position{r.at.Epoch, r.at.Number + r.uvarint()}
	}
	if flags&flagSpan != 0 {
		n.b = Position{n.a.Epoch + r.uvarint(), r.uvarint()}
	} else {
		n.b = Position{n.a.Epoch, n.a.Number + r.uvarint()}
	}
	const most = 1 << 62
	r.bad = r.bad || flags > 31 || n.b.Before(n.a) || n.a.Epoch > most || n.b.Epoch > most || n.a.Number > most ||
		n.b.Number > most
	r.at = n.b
	if flags&flagPiece == 0 {
		n.from, n.to = r.times()
	} else if k := len(before) - 1; k >= 0 {
		n.from, n.to = before[k].from, before[k].to
	}
	return n
}

// Parse reads what Append wrote into an empty set. excess is how many of the numbers
// in it had arrived when it was written.
func (s *Set) Parse(b []byte) (excess uint64, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	closed := s.Closed
	fail := func() (uint64, error) {
		*s = Set{Closed: closed}
		return 0, errMalformed
	}
	r := reader{rest: b[1:]}
	s.pool = pool{r.uvarint(), r.uvarint()}
	excess = r.uvarint()
	count := r.uvarint()
	if b[0] != version || r.bad || count > MaxFinal {
		return fail()
	}
	for range count {
		n := r.span(s.final)
		n.records = r.uvarint()
		if s.final = append(s.final, n); r.bad || n.pooled {
			return fail()
		}
	}
	r.at = Position{}
	for len(r.rest) > 0 {
		n := r.span(s.open)
		k := len(s.open) - 1
		if r.bad || k+1 >= MaxSpans || n.a.Number == 0 || k >= 0 && !s.open[k].b.Before(n.a) {
			return fail()
		}
		s.pooled += int(flag(n.pooled, 1))
		s.open = append(s.open, n)
	}
	if s.Closed {
		s.LoseAll()
	}
	s.endPool()
	return excess, nil
}
