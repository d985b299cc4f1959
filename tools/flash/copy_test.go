package flash

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// faulty is a medium in memory; its functions stand before what they spoil.
type faulty struct {
	bytes   []byte
	writes  int
	onWrite func(b []byte, at int64) (int, error)
	onRead  func(b []byte, at int64) (int, error)
	onSync  func() error
	forget  func() error
}

func (f *faulty) WriteAt(b []byte, at int64) (int, error) {
	f.writes++
	n, err := len(b), error(nil)
	if f.onWrite != nil {
		n, err = f.onWrite(b, at)
	}
	return copy(f.bytes[at:], b[:n]), err
}

func (f *faulty) ReadAt(b []byte, at int64) (int, error) {
	if f.onRead != nil {
		return f.onRead(b, at)
	}
	return copy(b, f.bytes[at:]), nil
}

func (f *faulty) Sync() error {
	if f.onSync != nil {
		return f.onSync()
	}
	return nil
}

func (f *faulty) Forget() error {
	if f.forget != nil {
		return f.forget()
	}
	return nil
}

// pattern is an image of a head, data with a hole in it, and half a chunk.
func pattern() *source {
	b := make([]byte, 20*chunk+chunk/2)
	for i := range b {
		if i/chunk != 7 {
			b[i] = byte(i/chunk + i)
		}
	}
	s := &source{ReaderAt: bytes.NewReader(b), size: int64(len(b))}
	if err := s.findHoles(); err != nil {
		panic(err)
	}
	return s
}

func old(size int64) *faulty { return &faulty{bytes: bytes.Repeat([]byte{0xEE}, int(size))} }

func quiet() *pace {
	return &pace{now: func() time.Time { return time.Time{} }}
}

func whole(s *source) []byte {
	b := make([]byte, s.size)
	_ = readAt(s, b, 0)
	return b
}

func TestTransferIsExact(t *testing.T) {
	for name, c := range map[string]struct {
		fresh  bool
		spoil  func(*faulty)
		writes int
	}{
		"used drive":     {writes: 22},
		"plain file":     {true, func(f *faulty) { clear(f.bytes) }, 21},
		"blank drive":    {false, func(f *faulty) { clear(f.bytes) }, 21},
		"blank but once": {false, func(f *faulty) { clear(f.bytes); f.bytes[8*chunk-1] = 1 }, 22},
		"unreadable at the hole": {false, func(f *faulty) {
			f.onRead = func(b []byte, at int64) (int, error) { // until it is read back
				f.onRead = nil
				return 0, errors.New("broken")
			}
		}, 22},
	} {
		t.Run(name, func(t *testing.T) {
			s := pattern()
			m := old(s.size)
			if c.spoil != nil {
				c.spoil(m)
			}
			if err := transfer(t.Context(), s, m, c.fresh, quiet()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.bytes, whole(s)) {
				t.Error("got other bytes on the medium, want the image's")
			}
			if m.writes != c.writes {
				t.Errorf("got %d writes, want %d", m.writes, c.writes)
			}
		})
	}
}

func TestTransferFindsWhatWentWrong(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		spoil func(*faulty)
		want  string
	}{
		"write that fails": {func(f *faulty) {
			f.onWrite = func(b []byte, at int64) (int, error) { return 0, broken }
		}, "writing: broken"},
		"short write without a word": {func(f *faulty) {
			f.onWrite = func(b []byte, at int64) (int, error) { return len(b) - 1, nil }
		}, "writing: short write"},
		"flush that fails": {func(f *faulty) { f.onSync = func() error { return broken } },
			"writing: broken"},
		"cache that stays": {func(f *faulty) { f.forget = func() error { return broken } }, "broken"},
		"read that fails": {func(f *faulty) {
			f.onRead = func(b []byte, at int64) (int, error) { return 0, broken }
		}, "reading back: broken"},
		"read that ends early": {func(f *faulty) {
			f.onRead = func(b []byte, at int64) (int, error) { return 0, nil }
		}, "reading back: unexpected EOF"},
		"flipped bit": {func(f *faulty) {
			f.forget = func() error { f.bytes[len(f.bytes)-1] ^= 1; return nil }
		}, "other bytes"},
		"counterfeit that wraps around": {func(f *faulty) {
			f.onRead = func(b []byte, at int64) (int, error) { return copy(b, f.bytes[at%(4*chunk):]), nil }
		}, "other bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := pattern()
			m := old(s.size)
			c.spoil(m)
			if err := transfer(t.Context(), s, m, false, quiet()); err == nil ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestStoppedHalfwayLeavesNothingThatBoots(t *testing.T) {
	for name, at := range map[string]int64{"at once": 0, "in the middle": 10 * chunk, "in the last chunk": 20 * chunk} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := pattern()
			m := old(s.size)
			m.onWrite = func(b []byte, where int64) (int, error) {
				if where == at {
					cancel()
				}
				return len(b), nil
			}
			err := transfer(ctx, s, m, false, quiet())
			if err == nil || !strings.Contains(err.Error(), "stopped") {
				t.Errorf("got %v, want that it was stopped", err)
			}
			if got := m.bytes[:sector]; !bytes.Equal(got, make([]byte, sector)) {
				t.Errorf("got % x … in the first sector, want zeros", got[:8])
			}
		})
	}
}
