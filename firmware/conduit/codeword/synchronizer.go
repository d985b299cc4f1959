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
// last byte; a damaged one waits for the next marker, or for Idle: the distance
// shows how many bytes were lost or inserted. Not safe for concurrent use.
type Synchronizer struct {
	check    func(frame []byte) bool
	counters Counters
	locked   bool // a marker should be at at
	tried    bool // the word at at does not decode without a repair
	credit   int
	at, held int // of buffer: before at everything is done, before held it arrived
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

// Push adds received bytes and calls deliver for each frame found. The frame is
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

// Idle is to be called when the line has been silent for far longer than a word
// takes. A damaged last word, which no marker will follow, is repaired or skipped.
func (s *Synchronizer) Idle(deliver func(frame []byte)) {
	for s.step(true, deliver) {
	}
	s.counters.SkippedBytes += uint64(s.held - s.at)
	s.at, s.held, s.locked, s.tried = 0, 0, false, false
}

// step handles the head of the buffer and reports whether there may be more to do;
// it never waits for more than the buffer can hold. When silent, no byte follows.
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
	// A slip at the end of a word that decoded nevertheless: the marker is near.
	if slip, found := s.near(); found {
		s.counters.SkippedBytes += uint64(max(slip, 0))
		s.at += slip
		return true
	}
	return s.unmarked(b, silent, deliver)
}

// skip moves on by a byte: the head is not the start of a word.
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

// marked handles a word of n bytes behind its marker.
func (s *Synchronizer) marked(b []byte, n int, silent bool, deliver func([]byte)) bool {
	end := markerSize + n
	if len(b) >= end && !s.tried {
		if s.decode(b[markerSize:], n, slipped{}, deliver) {
			return s.done(end)
		}
		s.tried = true
	}
	if len(b) < end+maxSlip+markerSize && !silent {
		return false
	}
	slip, found := nextMarker(b, end, silent)
	if found && slip != 0 && s.repair(b[markerSize:], n, slip, deliver) {
		s.counters.Slips++
		return s.done(end + slip)
	}
	s.counters.FailedWords++
	if !found {
		return s.skip()
	}
	return s.done(end + slip)
}

// unmarked handles a word whose marker is damaged, or lost with bytes of the word
// before or after it: the distance to the marker that follows shows which.
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
		var p slipped
		if slip != 0 {
			p = slipped{width: rs.Parity / 2, bytes: slip}
		}
		if s.decode(b[markerSize:], n, p, deliver) {
			s.counters.Slips++
		} else {
			s.counters.FailedWords++
		}
		return s.done(end + slip)
	}
	return s.skip()
}

// repair tries all places where slip bytes may have been lost or inserted.
func (s *Synchronizer) repair(b []byte, n, slip int, deliver func([]byte)) bool {
	width, stride := rs.Parity/2, rs.Parity/2
	if slip < 0 {
		width = max(width, 4-slip)
		stride = width + slip + 1
	}
	for c := 0; c < n; c += stride {
		at := min(c, n-width)
		if s.decode(b, n, slipped{at, width, slip}, deliver) {
			return true
		}
		if at != c {
			break
		}
	}
	return false
}

// slipped is a supposed place of a slip: width bytes at it are erased, and those after
// them are bytes further on. The zero value is none.
type slipped struct{ at, width, bytes int }

// decode tries to decode the n bytes at the start of b, and delivers their frame.
func (s *Synchronizer) decode(b []byte, n int, p slipped, deliver func([]byte)) bool {
	if s.credit < decodeCost {
		return false
	}
	s.credit -= decodeCost
	s.counters.Decodes++
	word, erased := s.word[:n], s.erased[:0]
	copy(word, b[:p.at])
	after := p.at + p.width
	copy(word[after:], b[after+p.bytes:n+p.bytes])
	for i := p.at; i < after; i++ {
		word[i] = 0
		erased = append(erased, i)
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

// nextMarker finds the marker nearest to b[end], where it should be. When silent,
// the end of b counts as one.
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
