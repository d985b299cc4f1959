package flash

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// strict is a raw device: it takes whole sectors, in memory that is aligned to them.
type strict struct {
	bytes []byte
	t     *testing.T
}

func (s *strict) check(b []byte, at int64) {
	if at%sector != 0 || len(b)%sector != 0 || uintptr(unsafe.Pointer(&b[0]))%sector != 0 {
		s.t.Errorf("got %d bytes at %d in memory at %p, want whole sectors", len(b), at, b)
	}
}

func (s *strict) ReadAt(b []byte, at int64) (int, error) {
	s.check(b, at)
	return copy(b, s.bytes[at:]), nil
}

func (s *strict) WriteAt(b []byte, at int64) (int, error) {
	s.check(b, at)
	return copy(s.bytes[at:], b), nil
}

func TestRawDeviceSeesWholeSectors(t *testing.T) {
	raw := &strict{bytes: make([]byte, 3*chunk+sector), t: t}
	s := &sectors{raw: raw, size: int64(len(raw.bytes))}
	want := make([]byte, len(raw.bytes))
	for i := range want {
		want[i] = byte(i*7 + i/sector)
	}
	if n, err := s.WriteAt(want[1:][:2*chunk+sector], sector); n != 2*chunk+sector || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if n, err := s.WriteAt(want, 0); n != len(want) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		at := random.IntN(len(want))
		b := make([]byte, random.IntN(min(2*chunk, len(want)-at)))
		if n, err := s.ReadAt(b, int64(at)); n != len(b) || err != nil || !bytes.Equal(b, want[at:][:len(b)]) {
			t.Fatalf("%d bytes at %d: got %d, %v, or other bytes", len(b), at, n, err)
		}
	}
	b := make([]byte, 100)
	if n, err := s.ReadAt(b, s.size-60); n != 60 || err != io.EOF {
		t.Errorf("got %d, %v at the end, want 60 and EOF", n, err)
	}
	if n, err := s.WriteAt(make([]byte, 100), s.size-60); n != 0 || err == nil {
		t.Errorf("got %d, %v beyond the end, want that it is refused", n, err)
	}
}

// Parts of sectors are written as files end: what stands before and behind them stays.
func TestRawDeviceKeepsTheRestOfASector(t *testing.T) {
	raw := &strict{bytes: make([]byte, 2*chunk), t: t}
	s := &sectors{raw: raw, size: int64(len(raw.bytes))}
	want := make([]byte, len(raw.bytes))
	for i := range want {
		want[i] = byte(i*7 + i/sector)
	}
	copy(raw.bytes, want)
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		at := random.IntN(len(want))
		b := make([]byte, random.IntN(min(chunk+2*sector, len(want)-at)))
		if random.IntN(2) == 0 {
			b = b[:min(len(b), sector)]
		}
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		copy(want[at:], b)
		if n, err := s.WriteAt(b, int64(at)); n != len(b) || err != nil || !bytes.Equal(raw.bytes, want) {
			t.Fatalf("%d bytes at %d: got %d, %v, or other bytes", len(b), at, n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) ReadAt(b []byte, _ int64) (int, error)  { return len(b) / 2, f.err }
func (f failing) WriteAt(b []byte, _ int64) (int, error) { return len(b) / 2, f.err }

func TestRawDeviceErrorsShow(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct{ give, read, write error }{
		{broken, broken, broken}, {nil, io.ErrUnexpectedEOF, io.ErrShortWrite},
	} {
		s := &sectors{raw: failing{c.give}, size: 2 * chunk}
		if _, err := s.ReadAt(make([]byte, chunk), 0); err != c.read {
			t.Errorf("got %v, want %v", err, c.read)
		}
		if _, err := s.WriteAt(make([]byte, chunk), 0); err != c.write {
			t.Errorf("got %v, want %v", err, c.write)
		}
	}
}
