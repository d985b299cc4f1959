package flash

import (
	"fmt"
	"io"
	"unsafe"
)

// alignment is that of memory, and more than that of any drive here.
const alignment = 4096

// sectors is a drive that is read and written by whole sectors alone, from memory that is
// aligned to them: the raw devices of Windows and macOS. Reads and writes may be of any bytes. It
// is for one goroutine.
type sectors struct {
	raw interface {
		io.ReaderAt
		io.WriterAt
	}
	size   int64 // of the drive
	buffer []byte
}

// aligned returns memory that begins at a page.
func aligned(size int) []byte {
	b := make([]byte, size+alignment)
	skip := alignment - int(uintptr(unsafe.Pointer(&b[0]))%alignment)
	return b[skip : skip+size : skip+size]
}

func (s *sectors) room() []byte {
	if s.buffer == nil {
		s.buffer = aligned(chunk)
	}
	return s.buffer
}

// ReadAt reads the sectors around what is asked for.
func (s *sectors) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		start := (at + int64(n)) / sector * sector
		skip := int(at + int64(n) - start)
		whole := min(int64(chunk), s.size-start, int64(skip+len(p)-n+sector-1)/sector*sector)
		if whole <= int64(skip) {
			return n, io.EOF
		}
		b := s.room()[:whole]
		if err := s.readWhole(b, start); err != nil {
			return n, err
		}
		n += copy(p[n:], b[skip:])
	}
	return n, nil
}

// WriteAt writes the sectors around what is given. The rest of the first and of the last one is
// read before, and stays.
func (s *sectors) WriteAt(p []byte, at int64) (n int, err error) {
	if at < 0 || int64(len(p)) > s.size-at {
		return 0, fmt.Errorf("flash: writing %d bytes at %d of a drive of %d", len(p), at, s.size)
	}
	for n < len(p) {
		start := (at + int64(n)) / sector * sector
		skip := int(at + int64(n) - start)
		b := s.room()
		b = b[:min(len(b), (skip+len(p)-n+sector-1)/sector*sector)]
		if err := s.readEnds(b, start, skip, skip+len(p)-n); err != nil {
			return n, err
		}
		copied := copy(b[skip:], p[n:])
		written, err := s.raw.WriteAt(b, start)
		if err == nil && written < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n + max(0, min(written-skip, copied)), err
		}
		n += copied
	}
	return n, nil
}

// readEnds reads those of the first and the last sector of b that are written in part, from skip to
// end.
func (s *sectors) readEnds(b []byte, start int64, skip, end int) error {
	if skip > 0 {
		if err := s.readWhole(b[:sector], start); err != nil {
			return err
		}
	}
	last := len(b) - sector
	if end == len(b) || skip > 0 && last == 0 {
		return nil
	}
	return s.readWhole(b[last:], start+int64(last))
}

// readWhole reads whole sectors.
func (s *sectors) readWhole(b []byte, at int64) error {
	got, err := s.raw.ReadAt(b, at)
	if got == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
