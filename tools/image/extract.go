package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
	"heliograph/tools/image/packed"
)

// extract writes a base image into an empty file, holes where it has zeros, and makes sure
// that it is one, whole, of the board and role.
func (o Options) extract(from base, to *os.File) error {
	name := filepath.Base(from.path)
	if err := unpack(from.path, to, o.note); err != nil {
		return fmt.Errorf("image: %s: %w", name, err)
	}
	m, _, err := identify(to)
	if err != nil {
		return fmt.Errorf("image: %s: %w", name, err)
	}
	if m.Role != o.Role || m.Board != o.Board.Name {
		return fmt.Errorf("image: %s is of %s for %s, not of %s for %s: download it again", name, m.Role, m.Board,
			o.Role, o.Board.Name)
	}
	return nil
}

// readOnly is a disk that nothing is written to.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, errors.New("image: read only") }
func (readOnly) Sync() error                        { return nil }

// unpack writes an image, packed or plain, and compares it with the sums beside it.
func unpack(path string, to *os.File, note func(string, ...any)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := packed.CompareSum(path, f)
	switch name := filepath.Base(path); {
	case err != nil:
		return err
	case list == "":
		note("%s was not compared: no SHA256SUMS beside it lists it", name)
	default:
		note("%s is what %s lists", name, filepath.Base(list))
	}
	if err := packed.Unpack(to, f); err != nil {
		return err
	}
	info, err := to.Stat()
	if err != nil {
		return err
	}
	return whole(to, info.Size())
}

// whole compares an image's length with its partition table.
func whole(r io.ReaderAt, size int64) error {
	b := make([]byte, sectorSize)
	if n, _ := r.ReadAt(b, 0); n < len(b) || string(b[510:]) != "\x55\xAA" {
		return errors.New("it has no partition table: it is not an image of a board")
	}
	for i := range 4 {
		e := b[446+16*i:]
		end := (int64(binary.LittleEndian.Uint32(e[8:])) + int64(binary.LittleEndian.Uint32(e[12:]))) * sectorSize
		if end > size {
			return fmt.Errorf("it ends at byte %d, in its partition %d: download it again", size, i+1)
		}
	}
	return nil
}

// identify checks the committed set of an image or card, and says what it is.
func identify(r io.ReaderAt) (m release.Manifest, s update.Set, err error) {
	card, err := update.Open(readOnly{r}, 0)
	if err != nil {
		return m, 0, err
	}
	if s, err = card.Committed(); err != nil {
		return m, 0, err
	}
	m, err = card.Check(s)
	return m, s, err
}
