package history

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The layout of a journal; the package comment draws it.
const (
	journalMagic  = "HGJ1"
	journalHeader = 16
	recordHeader  = 8
)

// Our own bounds.
const (
	maxBody     = 16 << 20  // bytes of a record, packed or not
	journalStep = 256 << 10 // bytes of zeros that a journal grows by
	maxJournal  = 64 << 20  // bytes that are read
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("damaged")

// journal is one of the two files, open for the generation that it is in use for.
type journal struct {
	path       string
	file       *os.File
	generation uint64
	crc        uint32 // of the last record
	end        int64  // of the last record
	size       int64  // of the file
	dirty      bool
	buf        []byte
}

func journalPath(dir string, generation uint64) string {
	return filepath.Join(dir, "journal-"+string(rune('0'+generation%2)))
}

// write appends a record of changes to the page cache.
func (j *journal) write(p *packer, changes []byte) (err error) {
	if j.file == nil {
		if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600); err != nil {
			return err
		}
		if j.size, err = j.file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	b := j.buf[:0]
	crc := j.crc
	if j.end == 0 {
		b = appendJournalHeader(b, j.generation)
		crc = binary.BigEndian.Uint32(b[journalHeader-4:])
	}
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	b = p.appendBody(b, changes)
	crc = crc32.Update(crc, castagnoli, b[start+recordHeader:])
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-recordHeader))
	binary.BigEndian.PutUint32(b[start+4:], crc)
	if cap(b) <= 1<<20 {
		j.buf = b
	}
	if err := j.grow(j.end + int64(len(b))); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(b, j.end); err != nil {
		return err
	}
	j.dirty, j.crc, j.end = true, crc, j.end+int64(len(b))
	return nil
}

// grow writes zeros, once in a file's life: a record that is written over them changes nothing
// of the file system's.
func (j *journal) grow(size int64) error {
	for j.size < size {
		if _, err := j.file.WriteAt(make([]byte, journalStep), j.size); err != nil {
			return err
		}
		j.size += journalStep
	}
	return nil
}

// sync has what was written survive a power cut.
func (j *journal) sync() error {
	if !j.dirty {
		return nil
	}
	if err := unix.Fdatasync(int(j.file.Fd())); err != nil {
		return err
	}
	j.dirty = false
	return nil
}

func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close()
	}
	j.file, j.dirty = nil, false
}

func appendJournalHeader(b []byte, generation uint64) []byte {
	b = append(b, journalMagic...)
	b = binary.BigEndian.AppendUint64(b, generation)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[len(b)-8:], castagnoli))
}

// readJournal reads a journal: its generation, or nil when it has none. It is an error when the file is
// something else.
func readJournal(path string, p *packer) (*journal, *generation, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return nil, nil, errDamaged
	}
	var head [journalHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return nil, nil, err
	}
	if head == [journalHeader]byte{} {
		return nil, nil, nil // made, and never written
	}
	crc := binary.BigEndian.Uint32(head[12:])
	if string(head[:4]) != journalMagic || crc != crc32.Checksum(head[4:12], castagnoli) {
		return nil, nil, errDamaged
	}
	g := newGeneration(binary.BigEndian.Uint64(head[4:]))
	j := &journal{path: path, generation: g.number, crc: crc, end: journalHeader}
	return j, g, j.replay(f, info.Size(), g, p)
}

// replay reads the records into a generation, up to the first that is not whole.
func (j *journal) replay(f io.ReaderAt, size int64, g *generation, p *packer) error {
	var numbered []*stream
	for {
		var head [recordHeader]byte
		if _, err := f.ReadAt(head[:], j.end); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		if length == 0 || length > maxBody || length > size-j.end-recordHeader {
			return nil
		}
		body := make([]byte, length)
		if _, err := f.ReadAt(body, j.end+recordHeader); err != nil {
			return err
		}
		crc := crc32.Update(j.crc, castagnoli, body)
		if crc != binary.BigEndian.Uint32(head[4:]) {
			return nil
		}
		changes, err := p.body(body)
		if err != nil || !g.replay(&numbered, changes) {
			return errDamaged
		}
		j.crc, j.end = crc, j.end+recordHeader+length
	}
}
