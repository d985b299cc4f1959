package image

import (
	"fmt"
	"os"
	"path/filepath"

	"heliograph/firmware/platform/regular"
	"heliograph/tools/image/packed"
)

// extract writes a base image into an empty file, holes where it has zeros, and makes sure
// that it is one, whole, of the board and role.
func (o Options) extract(from base, to *os.File) error {
	name := filepath.Base(from.path)
	if err := unpack(from.path, to, o.note); err != nil {
		return fmt.Errorf("image: %s: %w", name, err)
	}
	m, _, err := Committed(to)
	if err != nil {
		return fmt.Errorf("image: %s: %w", name, err)
	}
	if m.Role != o.Role || m.Board != o.Board.Name {
		return fmt.Errorf("image: %s is of %s for %s, not of %s for %s: download it again", name, m.Role, m.Board,
			o.Role, o.Board.Name)
	}
	return nil
}

// unpack writes an image, packed or plain, and compares it with the sums beside it.
func unpack(path string, to *os.File, note func(string, ...any)) error {
	f, err := regular.Open(path)
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
	return CheckPartitions(to, info.Size())
}
