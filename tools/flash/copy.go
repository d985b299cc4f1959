package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// Our choices.
const (
	sector    = 512
	chunk     = 1 << 20
	syncEvery = 16 * chunk // so that the progress is the card's, not the cache's
)

// medium is what an image is written to and read back from.
type medium interface {
	io.WriterAt
	io.ReaderAt
	Sync() error
	// Forget has the next read come from the medium, not from memory.
	Forget() error
}

// put writes an image, its first chunk last: a medium that was taken out halfway
// has no partition table and boots nothing. Holes of the image are left out of a new
// medium, which reads as zeros where nothing was written, and of one that is read and has
// zeros there. It returns the digest of what it meant to write.
func put(ctx context.Context, m medium, s *source, fresh bool, progress func(n int64, hole bool)) (
	sum [sha256.Size]byte, err error) {
	h := sha256.New()
	zeros, buffer := make([]byte, chunk), make([]byte, chunk)
	head := make([]byte, min(chunk, s.size))
	if err := readAt(s, head, 0); err != nil {
		return sum, fmt.Errorf("reading the image: %w", err)
	}
	h.Write(head)
	if err := writeThrough(m, zeros[:len(head)], 0); err != nil {
		return sum, err
	}
	for i, at := 1, int64(chunk); at < s.size; i, at = i+1, at+chunk {
		if ctx.Err() != nil {
			return sum, ctx.Err()
		}
		b := buffer[:min(chunk, s.size-at)]
		if err := readAt(s, b, at); err != nil {
			return sum, fmt.Errorf("reading the image: %w", err)
		}
		h.Write(b)
		hole := s.holes[i] && bytes.Equal(b, zeros[:len(b)])
		if !hole || !fresh && !blank(m, buffer[:len(b)], zeros, at) {
			if hole {
				b = zeros[:len(b)]
			}
			if err := writeAt(m, b, at); err != nil {
				return sum, err
			}
		}
		if at%syncEvery == 0 {
			if err := m.Sync(); err != nil {
				return sum, err
			}
		}
		progress(int64(len(b)), hole)
	}
	if err := m.Sync(); err != nil {
		return sum, err
	}
	if ctx.Err() != nil {
		return sum, ctx.Err()
	}
	if err := writeThrough(m, head, 0); err != nil {
		return sum, err
	}
	progress(int64(len(head)), false)
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// blank says whether a medium has zeros at a place. One that cannot be read there is
// written, which may repair it.
func blank(m io.ReaderAt, buffer, zeros []byte, at int64) bool {
	return readAt(m, buffer, at) == nil && bytes.Equal(buffer, zeros[:len(buffer)])
}

// digest reads a medium back.
func digest(ctx context.Context, m io.ReaderAt, size int64, progress func(n int64, hole bool)) (
	sum [sha256.Size]byte, err error) {
	h := sha256.New()
	buffer := make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		if ctx.Err() != nil {
			return sum, ctx.Err()
		}
		b := buffer[:min(chunk, size-at)]
		if err := readAt(m, b, at); err != nil {
			return sum, err
		}
		h.Write(b)
		progress(int64(len(b)), false)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func writeThrough(m medium, b []byte, at int64) error {
	if err := writeAt(m, b, at); err != nil {
		return err
	}
	return m.Sync()
}

// writeAt does not assume that a write without an error was complete.
func writeAt(w io.WriterAt, b []byte, at int64) error {
	n, err := w.WriteAt(b, at)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
