package codeword

import (
	"encoding/binary"
	"math/bits"

	"heliograph/firmware/conduit/rs"
)

const (
	maxSlip       = 8
	lockedErrors  = 3 // marker bits that may be wrong where a marker is expected
	huntingErrors = 1
	window        = 2*LongLine + maxSlip
	// A decode costs decodeCost credits; each byte received earns one. So
	// hostile bytes cost at most len/decodeCost + creditLimit/decodeCost decodes.
	decodeCost  = 4
	creditLimit = 1024
)

// Counters are totals since the start.
type Counters struct {
	Frames, CorrectedSymbols, FailedWords, Slips, SkippedBytes, Decodes uint64
}

// Synchronizer finds codewords in a byte stream. A word is delivered with its
// last byte; a broken one waits for the next marker, whose distance tells how
// many bytes were lost or inserted. Not safe for concurrent use.
type Synchronizer struct {
	check    func(frame []byte) bool
	counters Counters
	locked   bool
	credit   int
	held     int
	buffer   [window]byte
	word     [rs.MaxWord]byte
	erased   [rs.Parity]int
}

// New returns a Synchronizer that delivers only frames that check accepts.
func New(check func(frame []byte) bool) *Synchronizer {
	return &Synchronizer{check: check, credit: creditLimit}
}

// Counters returns the totals.
func (s *Synchronizer) Counters() Counters { return s.counters }

// Push takes received bytes and calls deliver for each frame found. The frame is
// valid only during the call.
func (s *Synchronizer) Push(received []byte, deliver func(frame []byte)) {
	for len(received) > 0 {
		n := copy(s.buffer[s.held:], received)
		received = received[n:]
		s.held += n
		s.credit = min(s.credit+n, creditLimit)
		at := 0
		for {
			used := s.step(s.buffer[at:s.held], deliver)
			if used == 0 {
				break
			}
			at += used
		}
		s.held = copy(s.buffer[:], s.buffer[at:s.held])
	}
}

// step looks at the head of b and returns how many bytes are done with; 0 asks
// for more. It never asks for more than window bytes.
func (s *Synchronizer) step(b []byte, deliver func([]byte)) int {
	if len(b) < markerSize {
		return 0
	}
	tolerance := huntingErrors
	if s.locked {
		tolerance = lockedErrors
	}
	n := markerAt(b, tolerance)
	if n == 0 {
		s.locked = false
		s.counters.SkippedBytes++
		return 1
	}
	end := markerSize + n
	if len(b) < end {
		return 0
	}
	if s.try(b[markerSize:], n, -1, 0, 0, deliver) {
		s.locked = true
		return end
	}
	if len(b) < end+maxSlip+markerSize {
		return 0
	}
	s.counters.FailedWords++
	slip, found := nextMarker(b, end)
	if !found {
		s.locked = false
		s.counters.SkippedBytes++
		return 1
	}
	s.locked = true
	if slip != 0 && s.repair(b[markerSize:], n, slip, deliver) {
		s.counters.FailedWords--
		s.counters.Slips++
	}
	return end + slip
}

// repair tries the places where slip bytes may have been lost or inserted.
func (s *Synchronizer) repair(b []byte, n, slip int, deliver func([]byte)) bool {
	width, stride := rs.Parity/2, rs.Parity/2
	if slip < 0 {
		width = max(width, 4-slip)
		stride = width + slip + 1
	}
	for c := 0; c < n; c += stride {
		at := min(c, n-width)
		if s.try(b, n, at, width, slip, deliver) {
			return true
		}
		if at != c {
			break
		}
	}
	return false
}

// try decodes n bytes of b. With at ≥ 0, width bytes there are erased and those
// after them taken slip bytes further on.
func (s *Synchronizer) try(b []byte, n, at, width, slip int, deliver func([]byte)) bool {
	if s.credit < decodeCost {
		return false
	}
	s.credit -= decodeCost
	s.counters.Decodes++
	word, erased := s.word[:n], s.erased[:0]
	if at < 0 {
		copy(word, b)
	} else {
		copy(word, b[:at])
		copy(word[at+width:], b[at+width+slip:])
		for i := range width {
			word[at+i] = 0
			erased = append(erased, at+i)
		}
	}
	randomise(word)
	corrected, err := rs.Decode(word, erased)
	frame := word[:n-rs.Parity]
	if err != nil || !s.check(frame) {
		return false
	}
	s.counters.Frames++
	s.counters.CorrectedSymbols += uint64(corrected)
	deliver(frame)
	return true
}

// markerAt returns the length of the word that the marker at b[0] announces, or 0.
func markerAt(b []byte, tolerance int) int {
	v := binary.BigEndian.Uint32(b)
	switch {
	case bits.OnesCount32(v^longMarker) <= tolerance:
		return LongFrame + rs.Parity
	case bits.OnesCount32(v^shortMarker) <= tolerance:
		return ShortFrame + rs.Parity
	}
	return 0
}

// nextMarker finds the marker nearest to where it should be.
func nextMarker(b []byte, end int) (slip int, found bool) {
	for d := 0; d <= maxSlip; d++ {
		if markerAt(b[end-d:], huntingErrors) != 0 {
			return -d, true
		}
		if markerAt(b[end+d:], huntingErrors) != 0 {
			return d, true
		}
	}
	return 0, false
}
