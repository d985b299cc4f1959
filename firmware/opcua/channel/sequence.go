package channel

import "math"

// Sequence numbers of the policies here rise by one and, from within 1024 of the
// largest on, may start again below 1024 (OPC 10000-6 §6.7.2.4).
const sequenceMargin = 1024

func nextSequence(last uint32) uint32 {
	if last >= math.MaxUint32-sequenceMargin {
		return 1
	}
	return last + 1
}

// sequence checks the numbers of one peer. The first may be any.
type sequence struct {
	last    uint32
	started bool
}

func (s *sequence) accept(n uint32) bool {
	wrapped := s.last >= math.MaxUint32-sequenceMargin && n < sequenceMargin
	if s.started && n-s.last != 1 && !wrapped {
		return false
	}
	s.last, s.started = n, true
	return true
}
