package update

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// record is what must survive beside the sets: see the package comment.
type record struct {
	sequence uint32
	floor    uint64 // the lowest version that may be installed
	pending  uint64 // version that waits to be tried; 0: none
	refused  uint64 // version that was given up last; 0: none
	tries    uint32 // of the pending one
	boots    uint32 // since the board was last healthy
	target   Set    // set of the pending one
	begun    uint8  // trials of the pending one, or of the refused one, that the firmware started
	damaged  bool   // the refused one was given up because it was
}

const (
	recordMagic = "HGU1"
	recordUsed  = 43 // bytes before the check
)

// recordAt is where the two copies stand: in different erase blocks of a card,
// before the first partition.
var recordAt = [2]int64{1 << 20, 2 << 20}

func (r record) encode() []byte {
	b := make([]byte, sectorSize)
	copy(b, recordMagic)
	be := binary.BigEndian
	be.PutUint32(b[4:], r.sequence)
	be.PutUint64(b[8:], r.floor)
	be.PutUint64(b[16:], r.pending)
	be.PutUint64(b[24:], r.refused)
	be.PutUint32(b[32:], r.tries)
	be.PutUint32(b[36:], r.boots)
	b[40], b[41] = byte(r.target), r.begun
	if r.damaged {
		b[42] = 1
	}
	be.PutUint32(b[sectorSize-4:], checkOf(b))
	return b
}

func checkOf(sector []byte) uint32 {
	return crc32.Checksum(sector[:sectorSize-4], crc32.MakeTable(crc32.Castagnoli))
}

// decodeRecord says whether a sector holds a whole record.
func decodeRecord(b []byte) (record, bool) {
	be := binary.BigEndian
	if len(b) != sectorSize || string(b[:4]) != recordMagic || be.Uint32(b[sectorSize-4:]) != checkOf(b) {
		return record{}, false
	}
	r := record{
		sequence: be.Uint32(b[4:]), floor: be.Uint64(b[8:]), pending: be.Uint64(b[16:]), refused: be.Uint64(b[24:]),
		tries: be.Uint32(b[32:]), boots: be.Uint32(b[36:]), target: Set(b[40]),
		begun: b[41], damaged: b[42] == 1,
	}
	if b[42] > 1 {
		return record{}, false
	}
	if r.target != A && r.target != B && r.pending != 0 {
		return record{}, false
	}
	for _, c := range b[recordUsed : sectorSize-4] {
		if c != 0 {
			return record{}, false
		}
	}
	return r, true
}

// readRecord returns the newest whole copy; a card without one, or that cannot
// be read there, has a record of zeros, as a new one does.
func readRecord(d io.ReaderAt) record {
	var newest record
	b := make([]byte, sectorSize)
	for _, at := range recordAt {
		if _, err := d.ReadAt(b, at); err != nil {
			continue
		}
		if r, ok := decodeRecord(b); ok && r.sequence > newest.sequence {
			newest = r
		}
	}
	return newest
}

// save writes over the older copy, so that one is whole at any moment, and
// returns when the new one is on the disk.
func (c *Card) save(r record) error {
	r.sequence = c.record.sequence + 1
	if err := c.put(r.encode(), recordAt[r.sequence%2]); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.record = r
	return nil
}
