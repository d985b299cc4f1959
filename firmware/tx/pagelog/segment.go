package pagelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"heliograph/firmware/conduit/record"
)

// The layout of a segment; the package comment draws it.
const (
	magic      = "HGR1"
	headerSize = 32
	pageSize   = 16 // in front of each body
	suffix     = ".pages"
)

// maxBody bounds a page's body, in bytes: one that is not packed, and its head.
const maxBody = record.MaxReplay + 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("damaged")

// segment is a file of pages.
type segment struct {
	path   string
	number uint64
	epoch  uint64 // of the first page
	since  int64  // ns since 1970: when its first record left
	size   int64  // bytes
	cut    bool   // it is known to end within a page
	unread error  // why passes leave some of it out; nil: they do not
}

// segmentPath names a segment by its number.
func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffix))
}

func (s *segment) appendHeader(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, s.number)
	b = binary.BigEndian.AppendUint64(b, s.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(s.since))
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

func (s *segment) parseHeader(b []byte) error {
	if len(b) < headerSize || string(b[:4]) != magic ||
		binary.BigEndian.Uint32(b[4:]) != crc32.Checksum(b[8:headerSize], castagnoli) {
		return errDamaged
	}
	s.number, s.epoch = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	s.since = int64(binary.BigEndian.Uint64(b[24:]))
	return nil
}

// openSegment reads a file's header.
func openSegment(path string) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var head [headerSize]byte
	if _, err := io.ReadFull(f, head[:]); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, errDamaged
	} else if err != nil {
		return nil, err
	}
	s := &segment{path: path, size: info.Size()}
	if err := s.parseHeader(head[:]); err != nil {
		return nil, err
	}
	if filepath.Base(segmentPath("", s.number)) != filepath.Base(path) {
		return nil, errDamaged
	}
	return s, nil
}

// checksum is that of a page. It starts from the segment's number, so that a block of
// another file never passes for one of this.
func checksum(number uint64, length uint32, rest []byte) uint32 {
	var salt [12]byte
	binary.BigEndian.PutUint64(salt[:], number)
	binary.BigEndian.PutUint32(salt[8:], length)
	return crc32.Update(crc32.Checksum(salt[:], castagnoli), castagnoli, rest)
}

// appendPage appends a page of a segment.
func appendPage(b []byte, number uint64, since int64, body []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(since))
	b = append(b, body...)
	binary.BigEndian.PutUint32(b[start+4:], checksum(number, uint32(len(body)), b[start+8:]))
	return b
}

// stored is a page of a segment.
type stored struct {
	since int64
	body  []byte
}

// parsePage parses the page that b begins with, and returns its size. When b is too
// short for it, the page has no body and size is larger than b.
func parsePage(b []byte, number uint64) (p stored, size int, err error) {
	if len(b) < pageSize {
		return p, pageSize, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length == 0 || length > maxBody {
		return p, 0, errDamaged
	}
	size = pageSize + int(length)
	if len(b) < size {
		return p, size, nil
	}
	if binary.BigEndian.Uint32(b[4:]) != checksum(number, length, b[8:size]) {
		return p, 0, errDamaged
	}
	return stored{int64(binary.BigEndian.Uint64(b[8:])), b[pageSize:size:size]}, size, nil
}
