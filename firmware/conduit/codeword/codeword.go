// Package codeword is the UART's outer layer: frames to randomised
// Reed-Solomon codewords behind sync markers, and back.
//
//	long   1A CF FC 1D | RS(255,239) word ⊕ PN     frame of 239 bytes
//	short  35 2E F8 53 | RS(128,112) word ⊕ PN     frame of 112 bytes
//
// Markers and the PN sequence (h(x) = x^8+x^7+x^5+x^3+1, all ones at the start
// of each word) follow CCSDS 131.0-B; the code is that of package rs; no
// conformance claimed. The package refuses to deliver a frame that the caller's
// check (a CRC inside the frame) rejects, and has no I/O and no clock.
package codeword

import "heliograph/firmware/conduit/rs"

// Sizes of frames and, marker included, of what goes on the line.
const (
	LongFrame  = 239
	ShortFrame = 112
	LongLine   = markerSize + LongFrame + rs.Parity
	ShortLine  = markerSize + ShortFrame + rs.Parity
)

const (
	markerSize         = 4
	longMarker  uint32 = 0x1ACFFC1D
	shortMarker uint32 = 0x352EF853
)

// noise is the PN sequence; it is never changed.
var noise = func() (pn [rs.MaxWord]byte) {
	state := byte(0xFF) // bit 7 is the next output
	for i := range pn {
		for range 8 {
			bit := state >> 7
			pn[i] = pn[i]<<1 | bit
			state = state<<1 | (bit^state>>4^state>>2^state)&1
		}
	}
	return pn
}()

// Encode appends the line bytes of frame to dst. A frame of any size other than
// LongFrame and ShortFrame is a programmer's error and panics.
func Encode(dst, frame []byte) []byte {
	marker := longMarker
	switch len(frame) {
	case LongFrame:
	case ShortFrame:
		marker = shortMarker
	default:
		panic("codeword: a frame has 239 or 112 bytes")
	}
	dst = append(dst, byte(marker>>24), byte(marker>>16), byte(marker>>8), byte(marker))
	start := len(dst)
	var parity [rs.Parity]byte
	_ = rs.Encode(parity[:], frame) // the length was checked above
	dst = append(append(dst, frame...), parity[:]...)
	randomise(dst[start:])
	return dst
}

func randomise(word []byte) {
	for i := range word {
		word[i] ^= noise[i]
	}
}
