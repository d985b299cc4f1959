// Package store keeps small records in files so that a power cut at any moment
// leaves the old record or the new one, never a mixture and never nothing.
//
// A record is written to a temporary file in the same folder, the file is
// synced, renamed over the old one, and the folder is synced. A file is
//
//	magic(4) "HGS1"   length(4)   crc(4)   record(length)
//
// big-endian; "1" is the version of this layout; crc is CRC-32C (RFC 3720
// appendix B.4) over magic, length and record. Anything else in the file,
// a byte too many included, is ErrCorrupt. ReplaceFile does the same for a file
// whose layout another program knows; Slots is for a record that changes often.
//
// The package refuses to append, to share a path between two writers (Lock
// keeps a second process out; within a process each file has one writer),
// and to guess: a damaged record is reported, not repaired.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The layout of a file.
const (
	magic      = "HGS1"
	headerSize = 12
)

// Our own bounds.
const (
	MaxRecord = 64 << 20 // bytes of a record, written or read

	fileMode   = 0o600
	folderMode = 0o700
	tempSuffix = ".tmp"
)

// ErrCorrupt is what Read returns for a file that Write did not leave
// complete: storage damage, or a file of something else. A file that is not
// there is fs.ErrNotExist.
var ErrCorrupt = errors.New("store: record is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write replaces the record at path. When it returns nil the record survives a
// power cut; when it returns an error the old record is still whole, or, if
// only the last sync failed, either of the two is.
func Write(path string, record []byte) error {
	return write(disk{}, path, record)
}

// ReplaceFile replaces a file of any layout as Write replaces a record. Several
// processes may do so: each has a temporary file of its own, hidden from who
// lists the folder. The new file has the mode given, not that of the old one.
func ReplaceFile(path string, mode fs.FileMode, content []byte) error {
	return replaceFile(disk{}, path, mode, content)
}

// secretMode is what may be left of the mode of a secret: a group may read it.
const secretMode = 0o640

// ReplaceSecret is ReplaceFile for a secret that a program of another user may read: the new file
// has the owner and group of the old one, and its mode as far as 0640; without an old one mode
// 0600. Where this user may not give a file to that owner it fails, and the old file stays.
func ReplaceSecret(path string, content []byte) error {
	old, err := os.Stat(path)
	if err != nil {
		return ReplaceFile(path, fileMode, content)
	}
	return replaceFile(disk{old: old}, path, old.Mode().Perm()&secretMode, content)
}

func replaceFile(l layer, path string, mode fs.FileMode, content []byte) error {
	dir, name := filepath.Split(path)
	temp := fmt.Sprintf("%s.%s.%d%s", dir, name, os.Getpid(), tempSuffix)
	if err := replace(l, path, temp, mode, content); err != nil {
		return fmt.Errorf("store: writing %s: %w", path, err)
	}
	return nil
}

// layer is what the package needs of a file system. The tests cut the power
// between and inside these calls.
type layer interface {
	create(path string, mode fs.FileMode) (file, error) // empty, even if it exists
	openSlots(path string) (slotFile, error)
	read(path string, limit int) ([]byte, error)
	rename(from, to string) error
	remove(path string) error
	syncFolder(path string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

func write(l layer, path string, record []byte) error {
	if len(record) > MaxRecord {
		return fmt.Errorf("store: writing %s: %d bytes are more than the %d of a record", path, len(record), MaxRecord)
	}
	header := header(record)
	if err := replace(l, path, path+tempSuffix, fileMode, header[:], record); err != nil {
		return fmt.Errorf("store: writing %s: %w", path, err)
	}
	return nil
}

func replace(l layer, path, temp string, mode fs.FileMode, parts ...[]byte) error {
	err := writeSynced(l, temp, mode, parts)
	if err == nil {
		err = l.rename(temp, path)
	}
	if err != nil {
		_ = l.remove(temp)
		return err
	}
	return l.syncFolder(filepath.Dir(path))
}

func writeSynced(l layer, path string, mode fs.FileMode, parts [][]byte) error {
	f, err := l.create(path, mode)
	if err != nil {
		return err
	}
	for _, b := range parts {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func header(record []byte) (h [headerSize]byte) {
	copy(h[:], magic)
	binary.BigEndian.PutUint32(h[4:], uint32(len(record)))
	crc := crc32.Update(crc32.Checksum(h[:8], castagnoli), castagnoli, record)
	binary.BigEndian.PutUint32(h[8:], crc)
	return h
}

// Read returns the record at path, an error that is fs.ErrNotExist when there
// is none, or one that is ErrCorrupt when the file is not as Write leaves it.
func Read(path string) ([]byte, error) {
	content, err := (disk{}).read(path, headerSize+MaxRecord)
	if err != nil {
		return nil, fmt.Errorf("store: reading %s: %w", path, err)
	}
	record, err := decode(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s; remove it to start without", err, path)
	}
	return record, nil
}

func decode(content []byte) ([]byte, error) {
	if len(content) < headerSize {
		return nil, ErrCorrupt
	}
	record := content[headerSize:]
	if header(record) != [headerSize]byte(content) {
		return nil, ErrCorrupt
	}
	return record, nil
}
