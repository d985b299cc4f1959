package wire

import (
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

func TestOpenRestoresTheShard(t *testing.T) {
	s := testSession(t)
	frame := sealedSource(s)
	if k, err := KindOf(frame); k != Source || err != nil {
		t.Fatalf("kind: got %d, %v", k, err)
	}
	var h Header
	h.Parse(frame)
	want := Header{Kind: Source, Class: Bulk, Lanes: 3, Session: s.ID, Sequence: 0xfffffffe, Generation: 0x0102,
		Index: 65}
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
