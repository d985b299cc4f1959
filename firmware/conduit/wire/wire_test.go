package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
)

func testSession(t testing.TB) *Session {
	t.Helper()
	var key PairKey
	var salt [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range salt {
		salt[i] = byte(0xa0 + i)
	}
	s, err := NewSession(key, 7, salt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealedSource(s *Session) []byte {
	h := Header{Kind: Source, Class: Bulk, Lanes: 3, Session: s.ID, Sequence: 0xfffffffe, Generation: 0x0102, Index: 65}
	frame := make([]byte, HeaderSize, 100)
	h.Put(frame)
	frame = append(frame, "\x00\x03abc\x00\x00"...)
	return s.Seal(frame, HeaderSize, 1<<32-2)
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
	got := "source: " + hex.EncodeToString(sealedSource(s)) + "\nhello: " + hex.EncodeToString(sealedHello(s)) + "\n"
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

func TestOpenRestoresTheShard(t *testing.T) {
	s := testSession(t)
	frame := sealedSource(s)
	if k, err := KindOf(frame); k != Source || err != nil {
		t.Fatalf("kind: got %d, %v", k, err)
	}
	var h Header
	h.Parse(frame)
	want := Header{Kind: Source, Class: Bulk, Lanes: 3, Session: s.ID, Sequence: 0xfffffffe, Generation: 0x0102, Index: 65}
	if h != want {
		t.Errorf("header: got %+v, want %+v", h, want)
	}
	plain, ok := s.Open(frame, HeaderSize, 1<<32-2)
	if !ok || string(plain) != "\x00\x03abc\x00\x00" {
		t.Errorf("shard: got %q, %v", plain, ok)
	}
}

func TestSessionsDiffer(t *testing.T) {
	a := testSession(t)
	for name, other := range map[string]func() (*Session, error){
		"epoch": func() (*Session, error) { return NewSession(PairKey{}, 8, a.Salt) },
		"salt":  func() (*Session, error) { return NewSession(PairKey{}, 7, [16]byte{1}) },
		"key":   func() (*Session, error) { return NewSession(PairKey{1}, 7, a.Salt) },
	} {
		b, err := other()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Open(sealedSource(a), HeaderSize, 1<<32-2); ok || a.ID == b.ID {
			t.Errorf("another %s opens the frame (%v) or has the same id (%v)", name, ok, a.ID == b.ID)
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
		"unknown kind":    append([]byte{0x13}, make([]byte, 99)...),
	} {
		if _, err := KindOf(frame); err != ErrNoise {
			t.Errorf("%s: got %v, want %v", name, err, ErrNoise)
		}
	}
}

func TestParityTable(t *testing.T) {
	table := ParityTable(0.06)
	for k, want := range map[int]int{1: 5, 8: 8, 32: 13} {
		if table[k] != want {
			t.Errorf("k=%d at 6 %%: got %d, want %d", k, table[k], want)
		}
	}
	if !reflect.DeepEqual(ParityTable(0), [MaxSources + 1]int{}) {
		t.Error("a link without loss got parity")
	}
}

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	s := testSession(t)
	frame := make([]byte, 1472)
	if n := testing.AllocsPerRun(100, func() {
		f := s.Seal(frame[:1452], HeaderSize, 9)
		if _, ok := s.Open(f, HeaderSize, 9); !ok {
			t.Fatal("does not open")
		}
	}); n != 0 {
		t.Errorf("got %v allocations per frame, want 0", n)
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
