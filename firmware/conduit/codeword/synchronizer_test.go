package codeword

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"heliograph/firmware/conduit/linktest"
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
		name  string
		p     linktest.Profile
		total int
		most  float64
	}{
		{"clean", linktest.Profile{}, 300, 0},
		{"BER 1e-5", linktest.Profile{BitErrors: 1e-5}, 1000, 0},
		{"BER 1e-4", linktest.Profile{BitErrors: 1e-4}, 1000, 0},
		// A hit start or stop bit loses or makes a byte.
		{
			"BER 1e-4, start and stop bits too",
			linktest.Profile{BitErrors: 1e-4, DropBytes: 1e-4, InsertBytes: 1e-4}, 2500, 4e-3,
		},
		{"drops 1e-4", linktest.Profile{DropBytes: 1e-4}, 2500, 1e-3},
		{"inserted bytes 1e-4", linktest.Profile{InsertBytes: 1e-4}, 2500, 1e-3},
		{"overruns of 8, 1e-4", linktest.Profile{Overruns: 1e-4}, 2500, 1.2e-3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			s, sent, got := New(intact), map[string]bool{}, 0
			deliver := func(f []byte) {
				if !sent[string(f)] {
					t.Fatal("a frame was delivered that was not sent, or twice")
				}
				delete(sent, string(f))
				got++
			}
			link, line := linktest.New(7, c.p), []byte(nil)
			for i := range c.total {
				n := LongFrame
				if i%4 == 3 {
					n = ShortFrame
				}
				f := frame(r, n)
				sent[string(f)] = true
				line = Encode(line[:0], f)
				link.Bytes(line, func(b []byte) { s.Push(b, deliver) })
			}
			s.Idle(deliver)
			t.Logf("lost %.1e %+v", float64(c.total-got)/float64(c.total), s.Counters())
			if lost := float64(c.total-got) / float64(c.total); lost > c.most {
				t.Errorf("lost %.1e, want at most %.1e; %+v", lost, c.most, s.Counters())
			}
		})
	}
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
		deliver := func(f []byte) {
			if !intact(f) {
				t.Fatal("delivered a frame that the check rejects")
			}
		}
		s.Push(line, deliver)
		s.Idle(deliver)
		if got, most := s.Counters().Decodes, uint64((len(line)+creditLimit)/decodeCost); got > most {
			t.Fatalf("%d decodes, want at most %d", got, most)
		}
		whole := 0
		after := Encode(nil, make([]byte, LongFrame))
		s = New(func(f []byte) bool { return bytes.Equal(f, make([]byte, LongFrame)) })
		s.Push(line, func([]byte) {})
		s.Idle(func([]byte) {})
		s.credit = creditLimit
		if s.Push(after, func([]byte) { whole++ }); whole != 1 {
			t.Fatalf("%d words after silence, want 1: nothing of what came before may hide it", whole)
		}
	})
}
