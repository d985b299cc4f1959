package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"heliograph/firmware/platform/store"
)

// The layout of a segment; the package comment draws it.
const (
	magic       = "HGQ1"
	headerSize  = 16
	recordSize  = 16 // in front of each record
	trailerSize = 24
	trailerMark = 1<<32 - 1 // where a record has its length
	suffix      = ".segment"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("damaged record")

// entry is a record in memory.
type entry struct {
	index  uint64 // rises by one per record that came, for ever
	data   []byte
	onDisk bool // a segment holds it too
}

// cost is what a record counts for against every bound: itself and about what
// keeping it takes, so that empty records are bounded as well.
func (e entry) cost() int64 { return int64(len(e.data)) + recordSize + memoryOverhead }

// segment is a file of records. Its fields belong to the Queue's lock.
type segment struct {
	path        string
	first, last uint64 // indexes
	size        int64  // end of the last record
	offset      int64  // of the first record that was not read yet
	unread      int    // records from there on
	missing     int    // records that the trailer has, and that could not be read at the start
}

// unreadCost is what its unread records count for against every bound.
func (s *segment) unreadCost() int64 {
	return s.size - s.offset + int64(s.unread)*memoryOverhead
}

// segmentPath names a segment by its first index.
func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", first, suffix))
}

func appendHeader(b []byte, first uint64) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, first)
	binary.BigEndian.PutUint32(b[len(b)-12:], crc32.Checksum(b[len(b)-8:], castagnoli))
	return b
}

func parseHeader(b []byte) (first uint64, ok bool) {
	if len(b) < headerSize || string(b[:4]) != magic {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[4:]) == crc32.Checksum(b[8:headerSize], castagnoli)
}

// checksum is that of a record or trailer. It starts from the
// segment's first index, so that a block of another file never passes for one of this.
func checksum(first uint64, length uint32, rest []byte) uint32 {
	var salt [12]byte
	binary.BigEndian.PutUint64(salt[:], first)
	binary.BigEndian.PutUint32(salt[8:], length)
	return crc32.Update(crc32.Checksum(salt[:], castagnoli), castagnoli, rest)
}

func appendRecord(b []byte, first uint64, e entry) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.data)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, e.index)
	b = append(b, e.data...)
	binary.BigEndian.PutUint32(b[start+4:], checksum(first, uint32(len(e.data)), b[start+8:]))
	return b
}

func appendTrailer(b []byte, first, last uint64, records int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, trailerMark)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, last)
	b = binary.BigEndian.AppendUint64(b, uint64(records))
	binary.BigEndian.PutUint32(b[start+4:], checksum(first, trailerMark, b[start+8:]))
	return b
}

func parseTrailer(b []byte, first uint64) (last uint64, records int, ok bool) {
	if len(b) != trailerSize || binary.BigEndian.Uint32(b) != trailerMark ||
		binary.BigEndian.Uint32(b[4:]) != checksum(first, trailerMark, b[8:]) {
		return 0, 0, false
	}
	last = binary.BigEndian.Uint64(b[8:])
	n := binary.BigEndian.Uint64(b[16:])
	return last, int(n), last >= first && n > 0 && n <= last-first+1
}

// parseRecord parses the record that b begins with, and returns its size. When b is
// too short for it, size is larger than b.
func parseRecord(b []byte, first uint64) (e entry, size int, err error) {
	if len(b) < recordSize {
		return entry{}, recordSize, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length > MaxRecord {
		return entry{}, 0, errDamaged
	}
	size = recordSize + int(length)
	if len(b) < size {
		return entry{}, size, nil
	}
	if binary.BigEndian.Uint32(b[4:]) != checksum(first, length, b[8:size]) {
		return entry{}, 0, errDamaged
	}
	return entry{index: binary.BigEndian.Uint64(b[8:]), data: b[recordSize:size:size], onDisk: true}, size, nil
}

// readRecords reads records between from and to, about chunkBytes of them and
// at least one. next is where the following one starts.
func readRecords(path string, first uint64, from, to int64) (entries []entry, next int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, from, err
	}
	defer f.Close()
	for size := min(to-from, chunkBytes); ; {
		b := make([]byte, size)
		if _, err := f.ReadAt(b, from); err != nil {
			return nil, from, err
		}
		entries, need, err := parseRecords(b, first)
		switch {
		case len(entries) > 0:
			return entries, from + need, nil
		case err != nil || need > to-from:
			return nil, from, errDamaged
		}
		size = need
	}
}

// parseRecords parses the records that b begins with. end is where they end; when
// there is none, it is how long b has to be.
func parseRecords(b []byte, first uint64) (entries []entry, end int64, err error) {
	for {
		e, size, err := parseRecord(b[end:], first)
		switch {
		case err == nil && size <= len(b[end:]):
			entries = append(entries, e)
			end += int64(size)
		case len(entries) > 0:
			return entries, end, nil
		default:
			return nil, int64(size), err
		}
	}
}

// openSegment finds what a file has from index position on. complete is false when
// the file does not end where a record ends.
func openSegment(path string, position uint64) (s *segment, complete bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return nil, false, err
	}
	first, ok := parseHeader(head[:])
	if !ok {
		return nil, false, errDamaged
	}
	s = &segment{path: path, first: first, last: first, size: headerSize, offset: headerSize}
	if end := info.Size() - trailerSize; end >= headerSize {
		var tail [trailerSize]byte
		if _, err := f.ReadAt(tail[:], end); err != nil {
			return nil, false, err
		}
		if last, records, ok := parseTrailer(tail[:], first); ok {
			s.last, s.size, s.unread = last, end, records
			if position <= first || position > last {
				return s, true, nil
			}
		}
	}
	return s, s.scan(info.Size(), position), nil
}

// scan finds the records by reading them, and reports whether the file ends with one.
func (s *segment) scan(size int64, position uint64) (complete bool) {
	trailed := s.unread
	if trailed > 0 {
		size = s.size
	}
	s.unread = 0
	at, found := int64(headerSize), 0
	for at < size {
		entries, next, err := readRecords(s.path, s.first, at, size)
		if err != nil {
			break
		}
		for _, e := range entries {
			at += recordSize + int64(len(e.data))
			if e.index < position {
				s.offset = at
			} else {
				s.unread++
			}
			s.last = max(s.last, e.index)
		}
		at, found = next, found+len(entries)
	}
	s.size, s.missing = at, max(trailed-found, 0)
	return at == size
}

// createSegment makes the file; it must be new.
func createSegment(dir string, first uint64) (*os.File, *segment, error) {
	path := segmentPath(dir, first)
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // the folder could not be made at the start
		if err = store.Folder(dir); err == nil {
			f, err = os.OpenFile(path, flags, 0o600)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if _, err := f.Write(appendHeader(nil, first)); err != nil {
		f.Close()
		_ = os.Remove(path)
		return nil, nil, err
	}
	return f, &segment{path: path, first: first, last: first, size: headerSize, offset: headerSize}, nil
}
