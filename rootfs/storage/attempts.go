package storage

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	attemptsMagic = "HGD1"
	attemptsAt    = 3 << 20 // of the card, beside the records of package update

	formattingDamaged = 2 // attempts, once a damaged partition is being formatted
)

// readAttempts returns how often the board was restarted because its data partition did
// not mount, 0 if that was never written; or formattingDamaged.
func readAttempts(d Disk) uint32 {
	b := make([]byte, sectorSize)
	if _, err := d.ReadAt(b, attemptsAt); err != nil || string(b[:4]) != attemptsMagic ||
		binary.BigEndian.Uint32(b[sectorSize-4:]) != checksum(b) {
		return 0
	}
	return binary.BigEndian.Uint32(b[4:])
}

// writeAttempts returns when the count is on the card.
func writeAttempts(d Disk, n uint32) error {
	b := make([]byte, sectorSize)
	copy(b, attemptsMagic)
	binary.BigEndian.PutUint32(b[4:], n)
	binary.BigEndian.PutUint32(b[sectorSize-4:], checksum(b))
	return writeSector(d, b, attemptsAt)
}

func checksum(sector []byte) uint32 {
	return crc32.Checksum(sector[:sectorSize-4], crc32.MakeTable(crc32.Castagnoli))
}
