package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

func sealedSource(s *Session) []byte {
	h := Header{Kind: Source, Class: Bulk, Lanes: 3, Session: s.ID, Sequence: 0xfffffffe, Generation: 0x0102, Index: 65}
	frame := make([]byte, HeaderSize, 100)
	h.Put(frame)
	frame = append(frame, "\x00\x03abc\x00\x00"...)
	return s.Seal(frame, HeaderSize, 1<<32-2)
}

func sealedReplay(s *Session, kind Kind) []byte {
	h := Header{Kind: kind, Class: Replay, Lanes: 3, Session: s.ID, Sequence: 7, Generation: 2, Index: 65}
	frame := make([]byte, HeaderSize, 100)
	h.Put(frame)
	return s.Seal(append(frame, "\x00\x03abc\x00\x00"...), HeaderSize, 7)
}

// TestReplayFramesAreOfKindsTheirOwn: a receiver that does not know them takes them for noise.
func TestReplayFramesAreOfKindsTheirOwn(t *testing.T) {
	for _, kind := range []Kind{Source, Parity} {
		frame := sealedReplay(testSession(t), kind)
		var h Header
		h.Parse(frame)
		if got, err := KindOf(frame); err != nil || got != kind || h.Kind != kind || h.Class != Replay || h.Lanes != 3 {
			t.Errorf("got kind %d, %v, header %+v; want kind %d of class replay", got, err, h, kind)
		}
		if raw := Kind(frame[0] & 15); raw <= Parity {
			t.Errorf("kind %d on the wire is one that earlier receivers know", raw)
		}
	}
}

func sealedHello(s *Session) []byte {
	h := HelloHeader{Session: s.ID, Epoch: s.Epoch, Sequence: 5, Salt: s.Salt}
	frame := make([]byte, HelloHeaderSize, 100)
	h.Put(frame)
	return s.Seal(frame, HelloHeaderSize, 5)
}

func TestGoldenFrames(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := testSession(t)
	got := "source: " + hex.EncodeToString(sealedSource(s)) + "\nhello: " + hex.EncodeToString(sealedHello(s)) +
		"\nreplay: " + hex.EncodeToString(sealedReplay(s, Source)) + "\n"
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	s := testSession(t)
	for bit := range len(sealedSource(s)) * 8 {
		frame := sealedSource(s)
		frame[bit/8] ^= 1 << (bit % 8)
		if CheckCRC(frame) {
			t.Errorf("bit %d: the CRC holds", bit)
		}
		frame = AppendCRC(frame[:len(frame)-CRCSize]) // a forger repairs the CRC
		if _, ok := s.Open(frame, HeaderSize, 1<<32-2); ok && bit/8 < len(frame)-CRCSize {
			t.Errorf("bit %d: the tag holds", bit)
		}
	}
}

func TestNoiseIsNoFrame(t *testing.T) {
	s := testSession(t)
	for name, frame := range map[string][]byte{
		"empty":           {},
		"short source":    sealedSource(s)[:Overhead-1],
		"short hello":     sealedHello(s)[:MinHello-1],
		"another version": append([]byte{0x21}, make([]byte, 99)...),
		"unknown kind":    append([]byte{0x15}, make([]byte, 99)...),
	} {
		if _, err := KindOf(frame); err != ErrNoise {
			t.Errorf("%s: got %v, want %v", name, err, ErrNoise)
		}
	}
}

// FuzzFrame checks that parsing never panics and that headers encode back.
func FuzzFrame(f *testing.F) {
	s := testSession(f)
	f.Add(sealedSource(s))
	f.Add(sealedHello(s))
	f.Add([]byte(strings.Repeat("\x12", 64)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		kind, err := KindOf(frame)
		if err != nil {
			return
		}
		if kind == Hello {
			var h HelloHeader
			h.Parse(frame)
			out := bytes.Clone(frame)
			h.Put(out)
			out[1] = frame[1]
			if !bytes.Equal(out, frame) {
				t.Fatalf("got %x, want %x", out, frame)
			}
			return
		}
		var h Header
		h.Parse(frame)
		out := bytes.Clone(frame)
		h.Put(out)
		if !bytes.Equal(out, frame) {
			t.Fatalf("got %x, want %x", out, frame)
		}
	})
}
