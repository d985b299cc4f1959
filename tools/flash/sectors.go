package flash

import (
	"fmt"
	"io"
	"unsafe"
)

// alignment is that of memory, and more than that of any drive here.
const alignment = 4096

// sectors is a drive that is read and written by whole sectors alone, from memory that is
// aligned to them: the raw devices of Windows and macOS. Reads may be of any bytes. It is
// for one goroutine.
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
		got, err := s.raw.ReadAt(b, start)
		if got < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		n += copy(p[n:], b[skip:])
	}
	return n, nil
}

// WriteAt writes whole sectors.
func (s *sectors) WriteAt(p []byte, at int64) (n int, err error) {
	if at%sector != 0 || len(p)%sector != 0 {
		return 0, fmt.Errorf("flash: writing %d bytes at %d: not whole sectors", len(p), at)
	}
	for n < len(p) {
		b := s.room()
		b = b[:copy(b, p[n:])]
		written, err := s.raw.WriteAt(b, at+int64(n))
		n += written
		if err == nil && written < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
