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

// Counters are totals since the start; the tags are those of package counter.
type Counters struct {
	Frames           uint64 `count:"frames" help:"Codewords that held a frame."`
	CorrectedSymbols uint64 `count:"corrected_bytes" help:"Bytes that the Reed-Solomon code corrected."`
	FailedWords      uint64 `count:"failed_words" help:"Codewords damaged beyond repair."`
	Slips            uint64 `count:"slips" help:"Codewords that had lost or gained bytes."`
	SkippedBytes     uint64 `count:"skipped_bytes" help:"Bytes that belong to no codeword."`
	Decodes          uint64 `count:"decodes" help:"Attempts to decode a codeword."`
}

// Synchronizer finds codewords in a byte stream. A word is delivered with its
// last byte; a broken one waits for the next marker, or for Idle: the distance
// tells how many bytes were lost or inserted. Not safe for concurrent use.
type Synchronizer struct {
	check    func(frame []byte) bool
	counters Counters
	locked   bool // at is where a marker should stand
	tried    bool // the word at at does not decode as it stands
	credit   int
	at, held int // of buffer: what is done with ends at at, what arrived at held
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
		if s.held == window {
			done := max(0, s.at-maxSlip) // a marker may start in what is done with
			s.held = copy(s.buffer[:], s.buffer[done:])
			s.at -= done
		}
		n := copy(s.buffer[s.held:], received)
		received = received[n:]
		s.held += n
		s.credit = min(s.credit+n, creditLimit)
		for s.step(false, deliver) {
		}
	}
}

// Idle says that the line has been silent for far longer than a word takes. A
// broken last word, which no marker will follow, is repaired or given up now.
func (s *Synchronizer) Idle(deliver func(frame []byte)) {
	for s.step(true, deliver) {
	}
	s.counters.SkippedBytes += uint64(s.held - s.at)
	s.at, s.held, s.locked, s.tried = 0, 0, false, false
}

// step deals with the head of the buffer and reports whether there may be more
// to do; it never asks for more than the buffer holds. When silent, no byte follows.
func (s *Synchronizer) step(silent bool, deliver func([]byte)) bool {
	b := s.buffer[s.at:s.held]
	if len(b) < markerSize {
		return false
	}
	tolerance := huntingErrors
	if s.locked {
		tolerance = lockedErrors
	}
	n := markerAt(b, tolerance)
	switch {
	case n != 0:
		return s.marked(b, n, silent, deliver)
	case !s.locked:
		return s.skip()
	case len(b) < maxSlip+markerSize && !silent:
		return false
	}
	// A slip at the end of a word that decoded all the same: the marker is near.
	if slip, found := s.near(); found {
		s.counters.SkippedBytes += uint64(max(slip, 0))
		s.at += slip
		return true
	}
	return s.unmarked(b, silent, deliver)
}

// skip gives up the head as the start of a word.
func (s *Synchronizer) skip() bool {
	s.locked, s.tried = false, false
	s.counters.SkippedBytes++
	s.at++
	return true
}

// done ends a word; the next marker is expected behind it.
func (s *Synchronizer) done(bytes int) bool {
	s.locked, s.tried = true, false
	s.at += bytes
	return true
}

// marked deals with a word of n bytes behind its marker.
func (s *Synchronizer) marked(b []byte, n int, silent bool, deliver func([]byte)) bool {
	end := markerSize + n
	if len(b) >= end && !s.tried {
		if s.try(b[markerSize:], n, -1, 0, 0, deliver) {
			return s.done(end)
		}
		s.tried = true
	}
	if len(b) < end+maxSlip+markerSize && !silent {
		return false
	}
	slip, found := nextMarker(b, end, silent)
	if slip != 0 && s.repair(b[markerSize:], n, slip, deliver) {
		s.counters.Slips++
		return s.done(end + slip)
	}
	s.counters.FailedWords++
	if !found {
		return s.skip()
	}
	return s.done(end + slip)
}

// unmarked deals with a word whose marker is damaged, or lost with bytes of the
// word before or after it: the distance to the marker that follows tells.
func (s *Synchronizer) unmarked(b []byte, silent bool, deliver func([]byte)) bool {
	for _, n := range [...]int{ShortFrame + rs.Parity, LongFrame + rs.Parity} {
		end := markerSize + n
		if len(b) < end+maxSlip+markerSize && !silent {
			return false
		}
		slip, found := nextMarker(b, end, silent)
		if !found {
			continue
		}
		at, width := 0, rs.Parity/2
		if slip == 0 {
			at, width = -1, 0
		}
		if s.try(b[markerSize:], n, at, width, slip, deliver) {
			s.counters.Slips++
		} else {
			s.counters.FailedWords++
		}
		return s.done(end + slip)
	}
	return s.skip()
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
		copy(word[at+width:], b[at+width+slip:n+slip])
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

// near finds a marker up to maxSlip bytes before or after the head.
func (s *Synchronizer) near() (slip int, found bool) {
	back := min(s.at, maxSlip)
	return nearest(s.buffer[s.at-back:s.held], back)
}

// nextMarker finds the marker nearest to b[end], where it should be. When
// silent, the end of b does as one.
func nextMarker(b []byte, end int, silent bool) (slip int, found bool) {
	if len(b) >= end+markerSize && markerAt(b[end:], lockedErrors) != 0 {
		return 0, true
	}
	if slip, found = nearest(b, end); found || !silent {
		return slip, found
	}
	slip = len(b) - end
	return slip, -maxSlip <= slip && slip <= maxSlip
}

func nearest(b []byte, at int) (slip int, found bool) {
	for d := 0; d <= maxSlip; d++ {
		for _, slip := range [...]int{-d, d} {
			if i := at + slip; i >= 0 && i+markerSize <= len(b) && markerAt(b[i:], huntingErrors) != 0 {
				return slip, true
			}
		}
	}
	return 0, false
}
