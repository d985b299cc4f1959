package rs

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

//go:embed testdata/golden.txt
var golden string

func TestParityEqualsTheDefinitionsSolution(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(golden), "\n") {
		left, right, _ := strings.Cut(line, " ")
		data, _ := hex.DecodeString(left)
		var got [Parity]byte
		if err := Encode(got[:], data); err != nil || hex.EncodeToString(got[:]) != right {
			t.Errorf("Encode(%d bytes) = %x, %v; want %s", len(data), got, err, right)
		}
	}
}

func randomWord(r *rand.Rand, n int) []byte {
	w := make([]byte, n)
	for i := range n - Parity {
		w[i] = byte(r.Uint32())
	}
	_ = Encode(w[n-Parity:], w[:n-Parity])
	return w
}

func damage(r *rand.Rand, w []byte, errs, erased int) []int {
	at := r.Perm(len(w))[:errs+erased]
	for k, i := range at {
		if k < errs {
			w[i] ^= byte(1 + r.IntN(255))
		} else {
			w[i] = byte(r.Uint32())
		}
	}
	return at[errs:]
}

func TestEveryPatternWithinTheBoundIsRestored(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{17, 18, 32, 128, 254, 255} {
		for e := 0; 2*e <= Parity; e++ {
			for f := 0; 2*e+f <= Parity; f++ {
				if e+f > n {
					continue
				}
				want := randomWord(r, n)
				got := bytes.Clone(want)
				erasures := damage(r, got, e, f)
				if _, err := Decode(got, erasures); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("n=%d e=%d f=%d: %v, restored %v; want restored", n, e, f, err, bytes.Equal(got, want))
				}
			}
		}
	}
}

func TestBeyondTheBoundFailsUnchangedOrIsAnotherWord(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	failed := 0
	for range 3000 {
		w := randomWord(r, 128)
		erasures := damage(r, w, 9+r.IntN(20), r.IntN(8))
		before := bytes.Clone(w)
		if _, err := Decode(w, erasures); err != nil {
			failed++
			if !bytes.Equal(w, before) {
				t.Fatal("Decode failed and changed the word, want it unchanged")
			}
		} else if hi, lo := remainder(w[:112]); !bytes.Equal(w[112:], parityBytes(w[:112])) {
			t.Fatalf("Decode returned a word with remainder %x %x, want a valid one", hi, lo)
		}
	}
	if failed == 0 {
		t.Error("no pattern beyond the bound failed, want nearly all")
	}
}

func parityBytes(data []byte) []byte {
	p := make([]byte, Parity)
	_ = Encode(p, data)
	return p
}

func TestBadArgumentsAreRefused(t *testing.T) {
	w := make([]byte, 255)
	for name, got := range map[string]error{
		"short word":         second(Decode(w[:16], nil)),
		"long word":          second(Decode(make([]byte, 256), nil)),
		"erasure outside":    second(Decode(w, []int{255})),
		"erasure negative":   second(Decode(w, []int{-1})),
		"erasure twice":      second(Decode(w, []int{3, 3})),
		"too many erasures":  second(Decode(w, make([]int, 17))),
		"no data":            Encode(w, nil),
		"no room for parity": Encode(w[:15], w[:9]),
	} {
		if got == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

func second(_ int, err error) error { return err }

func TestNothingIsAllocated(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	clean := randomWord(r, 255)
	w, p := bytes.Clone(clean), make([]byte, Parity)
	for i := range 8 {
		w[i*20] ^= 7
	}
	dirty := bytes.Clone(w)
	if n := testing.AllocsPerRun(50, func() {
		copy(w, dirty)
		_, _ = Decode(w, nil)
		_ = Encode(p, w[:239])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, 255), uint8(3))
	f.Fuzz(func(t *testing.T, w []byte, erased uint8) {
		var e []int
		for i := range int(erased % 20) {
			e = append(e, i*3)
		}
		before := bytes.Clone(w)
		if _, err := Decode(w, e); err != nil {
			if !bytes.Equal(w, before) {
				t.Fatal("changed on failure")
			}
		} else if !bytes.Equal(parityBytes(w[:len(w)-Parity]), w[len(w)-Parity:]) {
			t.Fatal("accepted an invalid word")
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	w, p := make([]byte, 239), make([]byte, Parity)
	b.SetBytes(239)
	for b.Loop() {
		_ = Encode(p, w)
	}
}

func BenchmarkDecodeEightErrors(b *testing.B) {
	dirty, w := make([]byte, 255), make([]byte, 255)
	for i := range 8 {
		dirty[i*30] = 9
	}
	b.SetBytes(239)
	for b.Loop() {
		copy(w, dirty)
		_, _ = Decode(w, nil)
	}
}
