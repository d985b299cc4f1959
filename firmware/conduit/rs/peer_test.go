package rs

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/makiuchi-d/gozxing/common/reedsolomon"
)

func ints(b []byte) []int {
	out := make([]int, len(b))
	for i, v := range b {
		out[i] = int(v)
	}
	return out
}

// The peer is ZXing's codec for QR codes, ported to Go: same field, base 0,
// errors only.
func TestAnIndependentCodecAgrees(t *testing.T) {
	field := reedsolomon.NewGenericGF(reduction, 256, 0)
	r := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{17, 18, 33, 128, 254, 255} {
		for e := range Parity/2 + 1 {
			clean := randomWord(r, n)
			theirs := ints(clean[:n-Parity])
			theirs = append(theirs, make([]int, Parity)...)
			if err := reedsolomon.NewReedSolomonEncoder(field).Encode(theirs, Parity); err != nil {
				t.Fatal(err)
			}
			for i, v := range theirs {
				if byte(v) != clean[i] {
					t.Fatalf("n=%d: the peer's word differs at byte %d: %#x, ours %#x", n, i, v, clean[i])
				}
			}
			ours := bytes.Clone(clean)
			damage(r, ours, e, 0)
			theirs = ints(ours)
			if err := reedsolomon.NewReedSolomonDecoder(field).Decode(theirs, Parity); err != nil {
				t.Fatalf("n=%d e=%d: the peer does not decode our word: %v", n, e, err)
			}
			changed, err := Decode(ours, nil)
			if err != nil || changed != e || !bytes.Equal(ours, clean) {
				t.Errorf("n=%d e=%d: Decode changed %d, %v; want %d and the word restored", n, e, changed, err, e)
			}
			for i, v := range theirs {
				if byte(v) != ours[i] {
					t.Fatalf("n=%d e=%d: the peer decoded byte %d to %#x, we to %#x", n, e, i, v, ours[i])
				}
			}
		}
	}
}

// At most 2e+f = 16 is promised, and past it no word is called restored that is
// not: an acceptance is a different valid word within the bound.
func TestTheBoundIsTwiceTheErrorsAndTheErasures(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for f := 0; f <= Parity; f++ {
		inside, beyond := (Parity-f)/2, (Parity-f)/2+1
		const tries = 200
		restored, accepted := 0, 0
		for range tries {
			want := randomWord(r, MaxWord)
			got := bytes.Clone(want)
			if _, err := Decode(got, damage(r, got, inside, f)); err == nil && bytes.Equal(got, want) {
				restored++
			}
			got = bytes.Clone(want)
			erasures := damage(r, got, beyond, f)
			before := bytes.Clone(got)
			if changed, err := Decode(got, erasures); err == nil {
				accepted++
				if other := changedOutside(before, got, erasures); 2*other+f > Parity || changed > other+f {
					t.Fatalf("f=%d: changed %d symbols besides the erasures, want at most %d", f, other, inside)
				}
			}
		}
		// One word in about inside! lies within reach of another: 6 from there on.
		if most := tries / 3; restored != tries || inside >= 3 && accepted > most {
			t.Errorf("f=%d: restored %d of %d with e=%d, accepted %d with e=%d; want all, and few",
				f, restored, tries, inside, accepted, beyond)
		}
	}
}

func changedOutside(before, after []byte, erasures []int) (n int) {
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	for _, i := range erasures {
		if before[i] != after[i] {
			n--
		}
	}
	return n
}

func BenchmarkDecodeSixteenErasures(b *testing.B) { benchmarkErasures(b, 0, 16) }

func BenchmarkDecodeEightErasuresFourErrors(b *testing.B) { benchmarkErasures(b, 4, 8) }

func benchmarkErasures(b *testing.B, errors, erased int) {
	r := rand.New(rand.NewPCG(15, 16))
	dirty, w := randomWord(r, MaxWord), make([]byte, MaxWord)
	erasures := damage(r, dirty, errors, erased)
	b.SetBytes(MaxWord - Parity)
	for b.Loop() {
		copy(w, dirty)
		if _, err := Decode(w, erasures); err != nil {
			b.Fatal(err)
		}
	}
}
