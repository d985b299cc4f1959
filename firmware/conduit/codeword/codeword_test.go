package codeword

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func intact(f []byte) bool {
	n := len(f) - 4
	return crc32.Checksum(f[:n], castagnoli) == binary.LittleEndian.Uint32(f[n:])
}

func frame(r *rand.Rand, n int) []byte {
	f := make([]byte, n)
	for i := range n - 4 {
		f[i] = byte(r.Uint32())
	}
	binary.LittleEndian.PutUint32(f[n-4:], crc32.Checksum(f[:n-4], castagnoli))
	return f
}

func TestNoiseIsTheSequenceOfCCSDS(t *testing.T) {
	want := []byte{0xFF, 0x48, 0x0E, 0xC0, 0x9A}
	if !bytes.Equal(noise[:5], want) {
		t.Errorf("PN starts %x, want %x", noise[:5], want)
	}
}

func TestAWordIsDeliveredWithItsLastByte(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	s, got := New(intact), 0
	s.Push(bytes.Repeat([]byte{0x1A}, 700), nil)
	for i, n := range []int{LongFrame, ShortFrame, LongFrame} {
		line := Encode(nil, frame(r, n))
		for _, b := range line {
			s.Push([]byte{b}, func([]byte) { got++ })
		}
		if got != i+1 {
			t.Fatalf("%d frames after word %d, want %d", got, i, i+1)
		}
	}
}

func TestLossOnAnImpairedLine(t *testing.T) {
	for _, c := range []struct {
		name                string
		flip, drop, overrun float64
		most                float64
	}{
		{"clean", 0, 0, 0, 0},
		{"BER 1e-5", 1e-5, 0, 0, 2e-3},
		{"BER 1e-4", 1e-4, 0, 0, 1e-2},
		{"drops 1e-4", 0, 1e-4, 0, 5e-3},
		{"overruns of 8", 0, 0, 1e-4, 8e-3},
	} {
		t.Run(c.name, func(t *testing.T) {
			const total = 6000
			r := rand.New(rand.NewPCG(7, 7))
			s, sent, got := New(intact), map[string]bool{}, 0
			deliver := func(f []byte) {
				if !sent[string(f)] {
					t.Fatal("a frame was delivered that was not sent")
				}
				got++
			}
			var line []byte
			for i := range total {
				n := LongFrame
				if i%4 == 3 {
					n = ShortFrame
				}
				f := frame(r, n)
				sent[string(f)] = true
				line = impair(r, Encode(line[:0], f), c.flip, c.drop, c.overrun)
				s.Push(line, deliver)
			}
			if lost := float64(total-got) / total; lost > c.most {
				t.Errorf("lost %.1e, want at most %.1e; %+v", lost, c.most, s.Counters())
			} else {
				t.Logf("lost %.1e %+v", lost, s.Counters())
			}
		})
	}
}

func impair(r *rand.Rand, line []byte, flip, drop, overrun float64) []byte {
	out := line[:0]
	for i := 0; i < len(line); i++ {
		b := line[i]
		for bit := range 8 {
			if r.Float64() < flip {
				b ^= 1 << bit
			}
		}
		switch p := r.Float64(); {
		case p < drop:
		case p < drop+overrun:
			i += 7
		default:
			out = append(out, b)
		}
	}
	return out
}

func TestHostileBytesCostBoundedDecodes(t *testing.T) {
	s := New(intact)
	junk := bytes.Repeat([]byte{0x1A, 0xCF, 0xFC, 0x1D}, 20000)
	s.Push(junk, nil)
	if got, most := s.Counters().Decodes, uint64(len(junk)/decodeCost+creditLimit/decodeCost); got > most {
		t.Errorf("%d decodes for %d bytes, want at most %d", got, len(junk), most)
	}
}

func TestPushAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	s, line := New(intact), Encode(nil, frame(r, LongFrame))
	if n := testing.AllocsPerRun(50, func() { s.Push(line, func([]byte) {}) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzSynchronizer(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	f.Add(Encode(Encode(nil, frame(r, ShortFrame)), frame(r, LongFrame)))
	f.Fuzz(func(t *testing.T, line []byte) {
		s := New(intact)
		s.Push(line, func(f []byte) {
			if !intact(f) {
				t.Fatal("delivered a frame that the check rejects")
			}
		})
		if got, most := s.Counters().Decodes, uint64((len(line)+creditLimit)/decodeCost); got > most {
			t.Fatalf("%d decodes, want at most %d", got, most)
		}
	})
}
