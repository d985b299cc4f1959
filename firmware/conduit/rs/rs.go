// Package rs is an errors-and-erasures Reed-Solomon codec over GF(2^8) for one
// codeword with 16 parity symbols, n from 17 to 255 (shortened words allowed).
//
// The field is GF(2)[x]/(x^8+x^4+x^3+x^2+1), 0x11D, with alpha = x; the
// generator's roots are alpha^0 … alpha^15. These are the parameters of
// ISO/IEC 18004 (QR Code), chosen over CCSDS 131.0-B (0x187, alpha^11,
// roots 120…135) because independent implementations are plentiful. No
// conformance to either is claimed.
//
//	word = data (n-16 bytes, highest power first) ‖ parity (16 bytes)
//
// The package refuses to guess: beyond 2·errors + erasures = 16 it either
// reports ErrBeyond and leaves the word unchanged, or, as with every such code,
// finds a different valid word. A checksum inside distinguishes the two.
package rs

import (
	"encoding/binary"
	"errors"
)

// Parity is the number of check symbols of a word; MaxWord and MinWord bound n.
const (
	Parity  = 16
	MaxWord = 255
	MinWord = Parity + 1
)

// What Encode and Decode return.
var (
	ErrLength   = errors.New("rs: word length must be 17 to 255 bytes with 16 of parity")
	ErrErasures = errors.New("rs: erasures must be distinct, inside the word and at most 16")
	ErrBeyond   = errors.New("rs: more errors than the parity corrects")
)

// Encode writes the 16 parity bytes of data into dst.
func Encode(dst, data []byte) error {
	if len(data) < 1 || len(data) > MaxWord-Parity || len(dst) < Parity {
		return ErrLength
	}
	hi, lo := remainder(data)
	binary.BigEndian.PutUint64(dst, hi)
	binary.BigEndian.PutUint64(dst[8:], lo)
	return nil
}

// Decode corrects word in place, given the positions of its erasures, and
// returns how many symbols it changed. On an error word is unchanged.
func Decode(word []byte, erasures []int) (int, error) {
	n := len(word)
	if n < MinWord || n > MaxWord {
		return 0, ErrLength
	}
	lambda, err := erasureLocator(n, erasures)
	if err != nil {
		return 0, err
	}
	hi, lo := remainder(word[:n-Parity])
	hi ^= binary.BigEndian.Uint64(word[n-Parity:])
	lo ^= binary.BigEndian.Uint64(word[n-8:])
	if hi|lo == 0 {
		return 0, nil
	}
	s := syndromes(hi, lo)
	degree := massey(&lambda, &s, len(erasures))
	if degree < 0 {
		return 0, ErrBeyond
	}
	return correct(word, &lambda, &s, degree)
}

// remainder divides data·x^16 by the generator.
func remainder(data []byte) (hi, lo uint64) {
	for _, b := range data {
		row := &tables.rows[b^byte(hi>>56)]
		hi = (hi<<8 | lo>>56) ^ row[0]
		lo = lo<<8 ^ row[1]
	}
	return hi, lo
}

// syndromes evaluates the remainder, and so the word, at the roots.
func syndromes(hi, lo uint64) (s [Parity]byte) {
	var rem [Parity]byte
	binary.BigEndian.PutUint64(rem[:], hi)
	binary.BigEndian.PutUint64(rem[8:], lo)
	for i := range s {
		var v byte
		for _, r := range rem {
			if v != 0 {
				v = tables.exp[int(tables.log[v])+i]
			}
			v ^= r
		}
		s[i] = v
	}
	return s
}

type poly = [Parity + 1]byte // lowest power first

func erasureLocator(n int, erasures []int) (poly, error) {
	p := poly{1}
	if len(erasures) > Parity {
		return p, ErrErasures
	}
	for k, at := range erasures {
		if at < 0 || at >= n {
			return p, ErrErasures
		}
		for _, before := range erasures[:k] {
			if before == at {
				return p, ErrErasures
			}
		}
		x := tables.exp[n-1-at]
		for j := k + 1; j > 0; j-- {
			p[j] ^= mul(p[j-1], x)
		}
	}
	return p, nil
}

// massey extends the erasure locator to the locator of errors and erasures
// (Blahut, Theory and Practice of Error Control Codes, 9.2). It returns the
// degree, or -1 when the word is beyond repair.
func massey(lambda *poly, s *[Parity]byte, erased int) int {
	b, length := *lambda, erased
	for r := erased + 1; r <= Parity; r++ {
		var delta byte
		for i := range r {
			delta ^= mul(lambda[i], s[r-1-i])
		}
		copy(b[1:], b[:Parity])
		b[0] = 0
		if delta == 0 {
			continue
		}
		old := *lambda
		for i := range b {
			lambda[i] ^= mul(delta, b[i])
		}
		if 2*length <= r+erased-1 {
			length = r + erased - length
			inverse := inv(delta)
			for i := range b {
				b[i] = mul(old[i], inverse)
			}
		}
	}
	degree := Parity
	for degree > 0 && lambda[degree] == 0 {
		degree--
	}
	if degree != length || 2*(degree-erased)+erased > Parity {
		return -1
	}
	return degree
}

// correct finds the roots (Chien), their values (Forney), checks that they
// explain every syndrome, and only then changes the word.
func correct(word []byte, lambda *poly, s *[Parity]byte, degree int) (int, error) {
	var at [Parity]int
	var value [Parity]byte
	found, n := 0, len(word)
	for i := 0; i < n && found < degree; i++ {
		if eval(lambda, degree, (MaxWord-i)%MaxWord) == 0 {
			at[found] = i
			found++
		}
	}
	if found != degree {
		return 0, ErrBeyond
	}
	var omega, slope poly
	for i := range Parity {
		for j := 0; j <= min(i, degree); j++ {
			omega[i] ^= mul(lambda[j], s[i-j])
		}
	}
	for j := 1; j <= degree; j += 2 {
		slope[j-1] = lambda[j]
	}
	left := *s
	for k, i := range at[:degree] {
		x := (MaxWord - i) % MaxWord
		den := eval(&slope, degree, x)
		if den == 0 {
			return 0, ErrBeyond
		}
		value[k] = mul(mul(tables.exp[i], eval(&omega, Parity, x)), inv(den))
		for j := range left {
			left[j] ^= mul(value[k], tables.exp[i*j%MaxWord])
		}
	}
	if left != ([Parity]byte{}) {
		return 0, ErrBeyond
	}
	changed := 0
	for k, i := range at[:degree] {
		word[n-1-i] ^= value[k]
		if value[k] != 0 {
			changed++
		}
	}
	return changed, nil
}

// eval gives p(alpha^power).
func eval(p *poly, degree, power int) byte {
	v := p[degree]
	for j := degree - 1; j >= 0; j-- {
		if v != 0 {
			v = tables.exp[int(tables.log[v])+power]
		}
		v ^= p[j]
	}
	return v
}
