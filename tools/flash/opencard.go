package flash

import (
	"fmt"
	"os"

	"heliograph/firmware/platform/regular"
)

// OpenCard opens a card that is there, or the plain file of an image, to change a part of
// it. It refuses the drives that Card refuses, but for their size.
func OpenCard(m Machine, path string) (Disk, error) {
	d, drive, err := m.At(path)
	if err != nil {
		return nil, err
	}
	if drive {
		if err := d.Refusal(0, false); err != nil {
			return nil, err
		}
		return m.Open(d, false)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is neither a card nor a plain file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("flash: %w", regular.Explain(path, err))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("flash: %w", err)
	}
	return plainFile{f}, nil
}
