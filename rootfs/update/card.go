package update

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"heliograph/firmware/platform/release"
)

// Disk is a whole card: a block device, or a file with its image. What was
// written before a Sync that returned nil survives a power cut, and is read from the card again,
// not from memory.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Set is one of the two pairs of a folder in the boot partition and a root
// slot: 'a' or 'b'; 0 is neither.
type Set byte

// The sets.
const (
	A Set = 'a'
	B Set = 'b'
)

// Other is the set that is not s.
func (s Set) Other() Set { return A + B - s }

func (s Set) folder() string { return string(rune(s)) + "/" }

// Partition is the number of a set's root slot in the partition table.
func (s Set) Partition() int { return int(s-A) + 2 }

// Files of a set that every card has.
const (
	ManifestFile = release.ManifestFile
	ArgumentFile = release.ArgumentFile
)

const (
	sectorSize = 512
	chosenFile = "config.txt"
	triedFile  = "tryboot.txt"
	prefixLine = "\nos_prefix="
	chunk      = 256 << 10 // bytes that are read or written at a time
)

// extent is where something stands on a disk, in bytes.
type extent struct{ at, size int64 }

// Card is a card that boots a board. Its methods are for one goroutine.
type Card struct {
	disk      Disk
	running   Set
	signature uint32
	boot      *volume
	slots     [2]extent
	record    record
}

// Open reads where things are. running is the set that this machine runs from;
// 0 on a PC, which runs from none.
func Open(d Disk, running Set) (*Card, error) {
	b := make([]byte, sectorSize)
	if _, err := d.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("update: reading the partition table: %v", err)
	}
	le := binary.LittleEndian
	if le.Uint16(b[510:]) != 0xAA55 {
		return nil, errors.New("update: no partition table: this is not the card of a board")
	}
	c := &Card{disk: d, running: running, signature: le.Uint32(b[440:])}
	var parts [3]extent
	for i := range parts {
		e := b[446+16*i:]
		parts[i] = extent{int64(le.Uint32(e[8:])) * sectorSize, int64(le.Uint32(e[12:])) * sectorSize}
		if parts[i].at < recordAt[1]+sectorSize || parts[i].size == 0 {
			return nil, errors.New("update: other partitions than on a card of a board")
		}
	}
	copy(c.slots[:], parts[1:])
	var err error
	if c.boot, err = openVolume(d, parts[0]); err != nil {
		return nil, err
	}
	c.record = readRecord(d)
	return c, nil
}

func (c *Card) slot(s Set) extent { return c.slots[s-A] }

// prefix finds the byte that names the set in one of the firmware's files.
func (c *Card) prefix(name string) (at int64, s Set, err error) {
	e, err := c.boot.find(name)
	if err != nil {
		return 0, 0, err
	}
	if e.size > 64<<10 {
		return 0, 0, fmt.Errorf("update: %s has %d bytes", name, e.size)
	}
	b := make([]byte, e.size)
	if _, err := c.disk.ReadAt(b, e.at); err != nil {
		return 0, 0, fmt.Errorf("update: reading %s: %v", name, err)
	}
	i := bytes.Index(b, []byte(prefixLine))
	if i < 0 || i+len(prefixLine)+2 > len(b) || b[i+len(prefixLine)+1] != '/' {
		return 0, 0, fmt.Errorf("update: %s has no line os_prefix=a/ or os_prefix=b/: restore it", name)
	}
	i += len(prefixLine)
	if s = Set(b[i]); s != A && s != B {
		return 0, 0, fmt.Errorf("update: %s names set %q", name, b[i])
	}
	return e.at + int64(i), s, nil
}

// Committed is the set that the firmware boots from when nothing else is asked.
func (c *Card) Committed() (Set, error) {
	_, s, err := c.prefix(chosenFile)
	return s, err
}

// choose changes one byte of one sector, and returns when that is on the disk.
func (c *Card) choose(name string, s Set) error {
	at, _, err := c.prefix(name)
	if err != nil {
		return err
	}
	sector := at / sectorSize * sectorSize
	b := make([]byte, sectorSize)
	if _, err := c.disk.ReadAt(b, sector); err != nil {
		return fmt.Errorf("update: reading %s: %v", name, err)
	}
	b[at-sector] = byte(s)
	if err := c.put(b, sector); err != nil {
		return err
	}
	return c.flush()
}

func (c *Card) flush() error {
	if err := c.disk.Sync(); err != nil {
		return fmt.Errorf("update: flushing the card: %v", err)
	}
	return nil
}
