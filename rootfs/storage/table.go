package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Of the master boot record.
const (
	sectorSize   = 512
	entryAt      = 446
	entrySize    = 16
	kindLinux    = 0x83
	dataNumber   = 4 // of the data partition
	mostSectors  = 1<<32 - 1
	alignSectors = 8 << 10 // 4 MiB: no erase block of a card is cut
)

// Disk is the whole card.
type Disk interface {
	ReadAt(b []byte, at int64) (int, error)
	WriteAt(b []byte, at int64) (int, error)
	Sync() error // what was written survives a power cut, and is read from the card again
}

// extent is a partition, in sectors.
type extent struct{ start, size int64 }

func (e extent) end() int64 { return e.start + e.size }

// partitions reads the four of a table.
func partitions(sector []byte) (list [dataNumber]extent, err error) {
	le := binary.LittleEndian
	if le.Uint16(sector[510:]) != 0xAA55 {
		return list, errors.New("storage: no partition table")
	}
	var end int64
	for i := range list {
		e := sector[entryAt+entrySize*i:]
		list[i] = extent{int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))}
		if list[i].start == 0 || list[i].start < end || list[i].size == 0 {
			return list, fmt.Errorf("storage: partition %d is not one of our images", i+1)
		}
		end = list[i].end()
	}
	if kind := sector[entryAt+entrySize*(dataNumber-1)+4]; kind != kindLinux {
		return list, fmt.Errorf("storage: partition %d is of kind %#x", dataNumber, kind)
	}
	return list, nil
}

// roomFor returns how large the last partition may be on a card of that many sectors.
func roomFor(data extent, sectors int64) int64 {
	end := sectors / alignSectors * alignSectors
	return min(end, mostSectors) - data.start
}

// enlarge makes the data partition reach the end of a card of size bytes, and returns how
// it was and is. It writes the table's one sector, and only when there is room to gain.
func enlarge(d Disk, size int64) (before, after extent, err error) {
	sector := make([]byte, sectorSize)
	if _, err := d.ReadAt(sector, 0); err != nil {
		return before, after, fmt.Errorf("storage: reading the partition table: %v", err)
	}
	list, err := partitions(sector)
	if err != nil {
		return before, after, err
	}
	before = list[dataNumber-1]
	room := roomFor(before, size/sectorSize)
	if room <= before.size {
		return before, before, nil
	}
	next := bytes.Clone(sector)
	binary.LittleEndian.PutUint32(next[entryAt+entrySize*(dataNumber-1)+12:], uint32(room))
	if err := writeSector(d, next, 0); err != nil {
		return before, before, fmt.Errorf("storage: writing the partition table: %v", err)
	}
	return before, extent{before.start, room}, nil
}

// writeSector writes a sector, and returns when it reads back from the card.
func writeSector(d Disk, sector []byte, at int64) error {
	if _, err := d.WriteAt(sector, at); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	back := make([]byte, sectorSize)
	if _, err := d.ReadAt(back, at); err != nil {
		return err
	}
	if !bytes.Equal(back, sector) {
		return errors.New("the card does not keep what is written")
	}
	return nil
}
