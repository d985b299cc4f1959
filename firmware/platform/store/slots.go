package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"
	"unsafe"
)

// The layout of a file of slots.
const (
	slotMagic  = "HGT1"
	slotHeader = 20
	slotCount  = 3
)

// Our own bounds.
const (
	sector   = 512  // bytes; the unit of a write
	slotUnit = 4096 // bytes; no two slots share a page or a block of the file system
)

// Slots keeps one record that changes often, each second say, in a file that is
// written in place: a change costs the card its own sectors and nothing of the
// file system's. The file has three slots of the same size, a multiple of 4096
// bytes; a slot is
//
//	magic(4) "HGT1"   length(4)   generation(8)   crc(4)   record(length)   unused
//
// big-endian; crc is CRC-32C over magic, length, generation and record. The
// whole slot with the highest generation holds the record.
//
//	slot 0   slot 1   slot 2
//	 7 synced  8        9        Write(10) goes over 8: never over the newest, never over the synced one
//
// A write that a kill or a power cut tears leaves the record before it. What
// Write has returned for survives the end of the process; what Sync has
// returned for survives a power cut. Where the file system allows, a write goes
// past the page cache (O_DIRECT) in whole sectors, so that a record of 400
// bytes costs a card 512 and not a page of 4096.
//
// Slots refuses to share a path: each has one writer. It is safe for concurrent use.
type Slots struct {
	path  string
	size  int // bytes of a slot
	layer layer

	mu     sync.Mutex
	file   slotFile // nil: to be opened at the next write
	next   uint64   // generation
	newest int      // slot; -1: none
	synced int      // slot that survives a power cut; -1: none
	last   []byte   // what the newest slot holds
	failed bool     // the last write or sync did
	buffer []byte   // aligned to a page, as O_DIRECT asks
}

// slotFile is a file that is written in place.
type slotFile interface {
	io.WriterAt
	io.Closer
	Sync() error
}

// OpenSlots returns the slots at path for records of at most size bytes. It
// touches nothing: a file that is missing, damaged or of another size is made
// again by the first Write, and a disk that cannot be written is an error of
// Write's, which tries again each time.
func OpenSlots(path string, size int) (*Slots, error) {
	return openSlots(disk{}, path, size)
}

// OpenCachedSlots returns slots for a record that changes many times a second:
// Write goes to the page cache and never waits for the card. The kernel writes
// it back within half a minute or so, and at Sync.
func OpenCachedSlots(path string, size int) (*Slots, error) {
	return openSlots(cached{}, path, size)
}

func openSlots(l layer, path string, size int) (*Slots, error) {
	if size < 1 || size > MaxRecord {
		return nil, fmt.Errorf("store: %s: a slot of %d bytes is not between 1 and %d", path, size, MaxRecord)
	}
	return &Slots{path: path, size: slotSize(size), layer: l, newest: -1, synced: -1}, nil
}

func slotSize(record int) int { return (slotHeader + record + slotUnit - 1) / slotUnit * slotUnit }

// Read returns the newest record, an error that is fs.ErrNotExist when there is
// none, or one that is ErrCorrupt when no slot is whole.
func (s *Slots) Read() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest >= 0 {
		return bytes.Clone(s.last), nil
	}
	return s.find()
}

// find finds the newest record in the file.
func (s *Slots) find() ([]byte, error) {
	content, err := s.layer.read(s.path, slotCount*slotSize(MaxRecord))
	if err != nil {
		return nil, fmt.Errorf("store: reading %s: %w", s.path, err)
	}
	size, found := len(content)/slotCount, -1
	s.next = 0
	for i := range slotCount {
		record, generation, ok := decodeSlot(content[i*size : (i+1)*size])
		if ok && generation >= s.next {
			found, s.next, s.last = i, generation+1, record
		}
	}
	if found < 0 {
		return nil, fmt.Errorf("%w: %s has no whole slot; it is recreated at the next write", ErrCorrupt, s.path)
	}
	if size == s.size && len(content) == slotCount*size {
		s.newest = found
	}
	return bytes.Clone(s.last), nil
}

// Write makes record the newest one. One that is the newest already costs nothing.
func (s *Slots) Write(record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slotHeader+len(record) > s.size {
		return fmt.Errorf("store: writing %s: %d bytes are more than the %d of a slot", s.path, len(record),
			s.size-slotHeader)
	}
	err := s.write(record)
	s.failed = err != nil
	if err != nil {
		s.close()
		return fmt.Errorf("store: writing %s: %w", s.path, err)
	}
	return nil
}

func (s *Slots) write(record []byte) error {
	if s.file == nil {
		if err := s.open(record); err != nil {
			return err
		}
	}
	if !s.failed && bytes.Equal(record, s.last) {
		return nil
	}
	slot := 0
	for slot == s.newest || slot == s.synced {
		slot++
	}
	if _, err := s.file.WriteAt(s.encode(record, s.next), int64(slot*s.size)); err != nil {
		return err
	}
	s.newest, s.next, s.last = slot, s.next+1, append(s.last[:0], record...)
	return nil
}

// Sync has what Write has returned for survive a power cut.
func (s *Slots) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.synced == s.newest {
		return nil // nothing was written since
	}
	if err := s.file.Sync(); err != nil {
		// The kernel reports this once and forgets what it could not write: the
		// next Write goes to another slot in any case.
		s.failed = true
		s.close()
		return fmt.Errorf("store: syncing %s: %w", s.path, err)
	}
	s.synced = s.newest
	return nil
}

// Close gives the file back. A Write after it opens it again.
func (s *Slots) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
}

func (s *Slots) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// open opens the file, or makes one that has the record.
func (s *Slots) open(record []byte) (err error) {
	if s.newest < 0 {
		if _, err := s.find(); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrCorrupt) {
			return err
		}
	}
	if s.newest < 0 {
		return s.create(record)
	}
	if s.file, err = s.layer.openSlots(s.path); errors.Is(err, fs.ErrNotExist) {
		return s.create(record)
	}
	if err == nil && s.synced < 0 {
		// Another run's last write may be in the page cache alone.
		if err = s.file.Sync(); err == nil {
			s.synced = s.newest
		}
	}
	return err
}

// create makes the file, full size so that later writes change nothing of the file system's.
func (s *Slots) create(record []byte) (err error) {
	content := make([]byte, slotCount*s.size)
	copy(content, s.encode(record, s.next))
	if err := replace(s.layer, s.path, s.path+tempSuffix, fileMode, content); err != nil {
		return err
	}
	s.file, err = s.layer.openSlots(s.path)
	s.newest, s.synced, s.next, s.last = 0, 0, s.next+1, append(s.last[:0], record...)
	return err
}

// encode returns a slot as whole sectors, at an aligned address.
func (s *Slots) encode(record []byte, generation uint64) []byte {
	if s.buffer == nil {
		b := make([]byte, s.size+slotUnit)
		past := int(uintptr(unsafe.Pointer(&b[0])) % slotUnit) // the collector does not move it
		s.buffer = b[slotUnit-past:][:s.size]
	}
	n := slotHeader + len(record)
	whole := s.buffer[:(n+sector-1)/sector*sector]
	copy(whole, slotMagic)
	binary.BigEndian.PutUint32(whole[4:], uint32(len(record)))
	binary.BigEndian.PutUint64(whole[8:], generation)
	copy(whole[slotHeader:], record)
	clear(whole[n:])
	binary.BigEndian.PutUint32(whole[16:], slotChecksum(whole[:n]))
	return whole
}

func decodeSlot(slot []byte) (record []byte, generation uint64, ok bool) {
	if len(slot) < slotHeader || string(slot[:4]) != slotMagic {
		return nil, 0, false
	}
	n := binary.BigEndian.Uint32(slot[4:])
	if uint64(n) > uint64(len(slot)-slotHeader) {
		return nil, 0, false
	}
	slot = slot[:slotHeader+int(n)]
	if slotChecksum(slot) != binary.BigEndian.Uint32(slot[16:]) {
		return nil, 0, false
	}
	return slot[slotHeader:], binary.BigEndian.Uint64(slot[8:]), true
}

// slotChecksum is the crc of a slot, but for the crc itself.
func slotChecksum(slot []byte) uint32 {
	return crc32.Update(crc32.Checksum(slot[:16], castagnoli), castagnoli, slot[slotHeader:])
}
