package history

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

const suffix = ".segment"

// Our own bounds of what is read from a segment.
const (
	maxIndex = 16 << 20 // bytes
	maxChunk = maxValue + maxNode + chunkBytes + runBytes + 1<<10
)

// segment is a sealed file. It does not change.
type segment struct {
	number    uint64
	size      int64
	indexSize int64
	indexCRC  uint32
	changes   uint64
	span      span
	sealed    int64 // ticks, of the receiver's clock
	reported  bool  // damage was; under the Store's lock
}

// age is the time that retention goes by: of the newest change, or when it was sealed if that change is after
// now, so that a source whose clock is ahead does not keep a segment for ever.
func (s *segment) age(now int64) int64 {
	if s.span.last <= now {
		return s.span.last
	}
	return min(s.span.last, s.sealed)
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffix))
}

// segmentNumber is the number in a file's name.
func segmentNumber(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil
}

// openSegment opens a file and reads its trailer. An error that is errDamaged says that it is not whole.
func openSegment(path string) (f *os.File, s *segment, err error) {
	if f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0); err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		s, err = readTrailer(f, info.Size())
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errDamaged
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	s.number, _ = segmentNumber(filepath.Base(path))
	return f, s, nil
}

func readTrailer(f io.ReaderAt, size int64) (*segment, error) {
	var b [segmentTrailer]byte
	if size < int64(len(segmentMagic)+len(b)) {
		return nil, errDamaged
	}
	if _, err := f.ReadAt(b[:], size-int64(len(b))); err != nil {
		return nil, err
	}
	field := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	s := &segment{
		size: size, indexSize: int64(binary.BigEndian.Uint32(b[:])), indexCRC: binary.BigEndian.Uint32(b[4:]),
		changes: uint64(field(8)), span: span{field(16), field(24)}, sealed: field(32),
	}
	if string(b[44:]) != segmentMagic || binary.BigEndian.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) ||
		s.indexSize > maxIndex || s.indexSize > size-int64(len(segmentMagic)+len(b)) {
		return nil, errDamaged
	}
	return s, nil
}

// chunk is where a part of a segment is.
type chunk struct {
	key    []byte // of its first run
	offset int64
	packed int
	size   int
	crc    uint32
	span   span
}

// chunks returns those that may have changes of a stream within a span, by their place.
func (s *segment) chunks(f io.ReaderAt, key string, within span) ([]chunk, error) {
	b := make([]byte, s.indexSize)
	end := s.size - segmentTrailer - s.indexSize
	if _, err := f.ReadAt(b, end); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != s.indexCRC {
		return nil, errDamaged
	}
	all, err := parseIndex(b, end)
	if err != nil {
		return nil, err
	}
	from := sort.Search(len(all), func(i int) bool { return string(all[i].key) >= key })
	var found []chunk
	for _, c := range all[max(from-1, 0):] { // the one before may end with runs of the stream
		if string(c.key) > key {
			break
		}
		if c.span.meets(within) {
			found = append(found, c)
		}
	}
	return found, nil
}

// parseIndex reads an index. The chunks end at end.
func parseIndex(b []byte, end int64) (all []chunk, err error) {
	at := int64(len(segmentMagic))
	for len(b) > 0 {
		c := chunk{offset: at}
		var ok bool
		if c.key, b, ok = cutKey(b); !ok {
			return nil, errDamaged
		}
		packed, n := binary.Uvarint(b)
		size, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || packed > uint64(end-at) || packed > size || size > maxChunk || len(b) < n+m+4 {
			return nil, errDamaged
		}
		c.packed, c.size, c.crc = int(packed), int(size), binary.BigEndian.Uint32(b[n+m:])
		if c.span, b, ok = cutSpan(b[n+m+4:]); !ok {
			return nil, errDamaged
		}
		all, at = append(all, c), at+int64(packed)
	}
	return all, nil
}

func cutSpan(b []byte) (s span, rest []byte, ok bool) {
	first, n := binary.Uvarint(b)
	length, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 || first > endOfTime || length > endOfTime-first {
		return span{}, nil, false
	}
	return span{int64(first), int64(first + length)}, b[n+m:], true
}

// read returns what a chunk holds.
func (c *chunk) read(f io.ReaderAt, p *packer) ([]byte, error) {
	b := make([]byte, c.packed)
	if _, err := f.ReadAt(b, c.offset); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != c.crc {
		return nil, errDamaged
	}
	if c.packed == c.size {
		return b, nil
	}
	return p.unpack(b, c.size)
}

// stored is a run as it is in a chunk.
type stored struct {
	count   int
	span    span
	entries []byte
}

// runs returns the runs of a stream in a chunk that meet a span, oldest first.
func runs(b []byte, key string, within span) (found []stored, err error) {
	for len(b) > 0 {
		of, rest, ok := cutKey(b)
		if !ok {
			return nil, errDamaged
		}
		count, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, errDamaged
		}
		r := stored{}
		if r.span, rest, ok = cutSpan(rest[n:]); !ok {
			return nil, errDamaged
		}
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) || count > length {
			return nil, errDamaged
		}
		r.count, r.entries, b = int(count), rest[n:][:length], rest[n+int(length):]
		if string(of) == key && r.span.meets(within) {
			found = append(found, r)
		}
	}
	return found, nil
}
