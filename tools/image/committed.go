package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// readOnly is a disk that nothing is written to.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, errors.New("image: read only") }
func (readOnly) Sync() error                        { return nil }

// CheckPartitions compares the partition table of an image with the image's length, bytes.
func CheckPartitions(r io.ReaderAt, size int64) error {
	b := make([]byte, sectorSize)
	if n, _ := r.ReadAt(b, 0); n < len(b) || string(b[510:]) != "\x55\xAA" {
		return errors.New("it has no partition table: it is not an image of a board")
	}
	end := int64(sectorSize)
	for i := range 4 {
		e := b[446+16*i:]
		start := int64(binary.LittleEndian.Uint32(e[8:])) * sectorSize
		length := int64(binary.LittleEndian.Uint32(e[12:])) * sectorSize
		switch {
		case start < end || length == 0:
			return fmt.Errorf("its partition %d is not where one of ours is: make it again with \"heliograph image\"",
				i+1)
		case start+length > size:
			return fmt.Errorf("it ends at byte %d, in its partition %d, which reaches to %d: it was cut short; "+
				"copy or download it again", size, i+1, start+length)
		}
		end = start + length
	}
	if size%sectorSize != 0 {
		return fmt.Errorf("it has %d bytes, which are not whole sectors: copy or download it again", size)
	}
	return nil
}

// committed opens the set that the board of an image or card boots.
func committed(d Disk) (*update.Card, update.Set, error) {
	card, err := update.Open(d, 0)
	if err != nil {
		return nil, 0, err
	}
	s, err := card.Committed()
	return card, s, err
}

// Committed compares every file of the set that the board of an image or card boots, and
// its root slot, with their hashes in the manifest, which it returns.
func Committed(r io.ReaderAt) (m release.Manifest, s update.Set, err error) {
	card, s, err := committed(readOnly{r})
	if err != nil {
		return m, s, err
	}
	m, err = card.Check(s)
	return m, s, err
}

// BootFile reads a file of the boot partition of an image or card, such as a/vmlinuz.
func BootFile(r io.ReaderAt, name string) ([]byte, error) {
	v, err := openBoot(r)
	if err != nil {
		return nil, err
	}
	return v.ReadFile(name, bootSize)
}

// Manifest reads what Committed returns, and compares nothing with it.
func Manifest(r io.ReaderAt) (m release.Manifest, err error) {
	card, s, err := committed(readOnly{r})
	if err != nil {
		return m, err
	}
	return card.Manifest(s)
}
