package codeword

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/golden.txt
var golden string

func TestLineBytesEqualTheDefinition(t *testing.T) {
	for _, row := range strings.Split(strings.TrimSpace(golden), "\n") {
		left, right, _ := strings.Cut(row, " ")
		f, _ := hex.DecodeString(left)
		want, _ := hex.DecodeString(right)
		if got := Encode(nil, f); !bytes.Equal(got, want) {
			t.Errorf("Encode(%d bytes) = %x, want %x", len(f), got, want)
		}
		var got []byte
		New(func([]byte) bool { return true }).Push(want, func(f []byte) { got = bytes.Clone(f) })
		if !bytes.Equal(got, f) {
			t.Errorf("received %x, want %x", got, f)
		}
	}
}

// damage changes the line bytes of words that start at given positions.
type damage = func(line []byte, start []int) []byte

// words returns the line bytes of five frames, and a Synchronizer's findings on
// what damage makes of them: which of the frames came.
func words(t *testing.T, sizes [5]int, damage damage, chunk int) (came [5]int, c Counters) {
	t.Helper()
	r := rand.New(rand.NewPCG(9, uint64(sizes[0])))
	var line []byte
	var frames [5][]byte
	var start []int
	for i, n := range sizes {
		frames[i] = frame(r, n)
		start = append(start, len(line))
		line = Encode(line, frames[i])
	}
	s := New(intact)
	deliver := func(f []byte) {
		for i := range frames {
			if bytes.Equal(f, frames[i]) {
				came[i]++
				return
			}
		}
		t.Error("a frame was delivered that was not sent")
	}
	for part := range slices.Chunk(damage(line, start), chunk) {
		s.Push(part, deliver)
	}
	s.Idle(deliver)
	return came, s.Counters()
}

var mixes = [][5]int{
	{LongFrame, LongFrame, LongFrame, LongFrame, LongFrame},
	{ShortFrame, ShortFrame, ShortFrame, ShortFrame, ShortFrame},
	{LongFrame, ShortFrame, LongFrame, ShortFrame, LongFrame},
	{ShortFrame, LongFrame, ShortFrame, LongFrame, ShortFrame},
}

func each(t *testing.T, want [5]int, damage damage) {
	t.Helper()
	for _, sizes := range mixes {
		for _, chunk := range []int{1, 7, 4096} {
			if got, c := words(t, sizes, damage, chunk); got != want {
				t.Errorf("frames of %v in chunks of %d: came %v times, want %v; %+v", sizes, chunk, got, want, c)
			}
		}
	}
}

var all = [5]int{1, 1, 1, 1, 1}

func TestOneSlipAnywhereLosesNothing(t *testing.T) {
	for k, d := range []int{-8, -3, -1, 1, 3, 8} {
		for m, sizes := range mixes {
			length := markerSize + sizes[2] + 16
			for at := (k + m) % 4; at < length; at += 4 {
				damage := func(line []byte, start []int) []byte {
					i := start[2] + at
					if d < 0 {
						return slices.Delete(line, i, i-d)
					}
					return slices.Insert(line, i, bytes.Repeat([]byte{0xA5}, d)...)
				}
				if got, c := words(t, sizes, damage, 4096); got != all {
					t.Errorf("slip %d at byte %d of the third of %v: came %v times, want all once; %+v", d, at, sizes,
						got, c)
				}
			}
		}
	}
}

func TestTheLineRecoversWithinTwoFrames(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(line []byte, start []int) []byte
		want   [5]int
	}{
		"leading junk": {func(line []byte, _ []int) []byte {
			return append(bytes.Repeat([]byte{0x1A, 0xCF, 0xFC, 0x00, 0x55}, 60), line...)
		}, all},
		"joined in the middle of a word": {func(line []byte, start []int) []byte {
			return line[start[1]-50:]
		}, [5]int{0, 1, 1, 1, 1}},
		"a slip beyond what is searched": {func(line []byte, start []int) []byte {
			return slices.Delete(line, start[2]+40, start[2]+60)
		}, [5]int{1, 1, 0, 1, 1}},
		"a marker wholly wrong": {func(line []byte, start []int) []byte {
			copy(line[start[2]:], "????")
			return line
		}, all},
		"a marker lost": {func(line []byte, start []int) []byte {
			return slices.Delete(line, start[2], start[2]+4)
		}, all},
		"a byte lost before a marker, six errors behind it": {func(line []byte, start []int) []byte {
			for i := range 6 {
				line[start[2]+20+9*i] ^= 0xFF
			}
			return slices.Delete(line, start[2]-3, start[2]-2)
		}, all},
		"the first marker lost": {func(line []byte, _ []int) []byte {
			return line[4:]
		}, [5]int{0, 1, 1, 1, 1}},
		"the last marker cut short": {func(line []byte, start []int) []byte {
			return slices.Delete(line, start[4], start[4]+1)
		}, all},
		"the last word cut short by a byte": {func(line []byte, _ []int) []byte {
			return line[:len(line)-1]
		}, all},
		"the last word cut short by eight": {func(line []byte, _ []int) []byte {
			return line[:len(line)-8]
		}, all},
		"a byte lost in the last word": {func(line []byte, start []int) []byte {
			return slices.Delete(line, start[4]+60, start[4]+61)
		}, all},
		"a byte too many in the last word": {func(line []byte, start []int) []byte {
			return slices.Insert(line, start[4]+60, 9)
		}, all},
		"the last word broken beyond repair": {func(line []byte, start []int) []byte {
			clear(line[start[4]+20:])
			return line
		}, [5]int{1, 1, 1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) { each(t, c.want, c.damage) })
	}
}

func TestIdleLeavesNothingPending(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	s, got := New(intact), 0
	count := func([]byte) { got++ }
	broken := Encode(nil, frame(r, LongFrame))
	clear(broken[30:200])
	for _, n := range []int{3, 4, 100, 258, 259} {
		s.Push(broken[:n], count)
		s.Idle(count)
		if got != 0 || s.held != 0 || s.locked {
			t.Errorf("%d bytes of a broken word, then silence: delivered %d, holds %d, locked %v; want 0, 0, false",
				n, got, s.held, s.locked)
		}
		s.Push(Encode(nil, frame(r, ShortFrame)), count)
		if got != 1 {
			t.Errorf("%d bytes of a broken word, silence, a whole word: delivered %d, want 1 with its last byte", n,
				got)
		}
		got = 0
	}
	if s.Counters().FailedWords == 0 {
		t.Error("0 failed words, want those that Idle discarded")
	}
}
