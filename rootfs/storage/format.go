package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/ext4"

	"heliograph/firmware/platform/disk"
)

// Of ext4, Documentation/filesystems/ext4 of Linux.
const (
	superblockAt   = 1024
	superblockSize = 1024
	ext4Magic      = 0xEF53 // at 56 of the superblock
)

// Our own choices.
const (
	blockSize      = 4096
	groupSize      = 8 * blockSize * blockSize // bytes that one bitmap of a block covers
	inodesPerGroup = 4096
	// mostFormatted is how much is formatted before the kernel grows it: writing the
	// tables of a large card would take minutes.
	mostFormatted = 1 << 30
	// beginning is what is all zeros or ones on a card that was never formatted.
	beginning = 1 << 20
	// formatting stands at the partition's beginning, where ext4 has nothing, until the
	// superblock is written. An image has it too.
	formatting = disk.Formatting
)

// format writes an empty ext4 with a journal to a device. A power cut leaves it either
// whole or new.
func format(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return formatFile(f, size)
}

// partitionFile is an open device, or a file with the content of one.
type partitionFile interface {
	backend.WritableFile
	Sync() error
}

func formatFile(f partitionFile, size int64) error {
	first := make([]byte, blockSize)
	copy(first, formatting)
	if _, err := f.WriteAt(first, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	s := &superblockLast{Storage: file.New(f, false), first: make([]byte, blockSize)}
	size = min(size, mostFormatted)
	groups := (size + groupSize - 1) / groupSize
	_, err := ext4.Create(s, size, 0, sectorSize, &ext4.Params{
		VolumeName: "heliograph", SectorsPerBlock: blockSize / sectorSize, InodeCount: uint32(groups * inodesPerGroup),
		// The kernel grows a filesystem without them too; the library makes them for blocks of 1 KiB alone.
		Features: []ext4.FeatureOpt{ext4.WithFeatureReservedGDTBlocksForExpansion(false)},
	})
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.WriteAt(s.first, 0); err != nil {
		return err
	}
	return f.Sync()
}

// superblockLast is a device whose first block is kept in memory.
type superblockLast struct {
	backend.Storage
	first []byte
}

// Writable implements backend.Storage.
func (s *superblockLast) Writable() (backend.WritableFile, error) { return s, nil }

// WriteAt implements io.WriterAt.
func (s *superblockLast) WriteAt(b []byte, at int64) (int, error) {
	held := 0
	if at < int64(len(s.first)) {
		held = copy(s.first[at:], b)
	}
	if held == len(b) {
		return held, nil
	}
	w, err := s.Storage.Writable()
	if err != nil {
		return held, err
	}
	n, err := w.WriteAt(b[held:], at+int64(held))
	return held + n, err
}

// ReadAt implements io.ReaderAt.
func (s *superblockLast) ReadAt(b []byte, at int64) (int, error) {
	held := 0
	if at < int64(len(s.first)) {
		held = copy(b, s.first[at:])
	}
	if held == len(b) {
		return held, nil
	}
	n, err := s.Storage.ReadAt(b[held:], at+int64(held))
	return held + n, err
}

// isNew reports whether a device has never had a filesystem: it begins with zeros, or
// with the ones of erased flash, and there is no copy of a superblock; or its formatting
// did not begin after an image was written, or was cut off.
func isNew(device string) (bool, error) {
	f, err := os.Open(device)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := make([]byte, beginning)
	if _, err := io.ReadFull(f, b); err != nil {
		return false, fmt.Errorf("reading %s: %v", device, err)
	}
	if bytes.HasPrefix(b, []byte(formatting)) {
		return true, nil
	}
	if b[0] != 0 && b[0] != 0xFF || bytes.Count(b, b[:1]) != len(b) {
		return false, nil
	}
	// The first copies: in group 1, with blocks of 4 KiB or of 1 KiB.
	for _, at := range []int64{groupSize, (8<<10 + 1) << 10} {
		copied := make([]byte, superblockSize)
		_, err := f.ReadAt(copied, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("reading %s: %v", device, err)
		}
		if binary.LittleEndian.Uint16(copied[56:]) == ext4Magic {
			return false, nil
		}
	}
	return true, nil
}

// filesystem is how large an ext4 is, as its superblock says.
type filesystem struct{ blockSize, blocks int64 }

// readFilesystem reads the superblock of a device.
func readFilesystem(device string) (fs filesystem, err error) {
	f, err := os.Open(device)
	if err != nil {
		return fs, err
	}
	defer f.Close()
	b := make([]byte, superblockSize)
	if _, err := f.ReadAt(b, superblockAt); err != nil {
		return fs, fmt.Errorf("reading %s: %v", device, err)
	}
	le := binary.LittleEndian
	shift := le.Uint32(b[24:])
	if le.Uint16(b[56:]) != ext4Magic || shift > 6 {
		return fs, fmt.Errorf("%s has no ext4", device)
	}
	return filesystem{1024 << shift, int64(le.Uint32(b[4:])) | int64(le.Uint32(b[0x150:]))<<32}, nil
}
