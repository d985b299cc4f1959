package update

import (
	"fmt"
	"os"
)

// Device is a block device, or a file with the image of one.
type Device struct{ *os.File }

// OpenDevice opens a card by its name. On a PC it must be alone: a card that is
// mounted is refused.
func OpenDevice(name string, alone bool) (Device, error) {
	flags := os.O_RDWR
	if alone {
		flags |= os.O_EXCL // of a block device: fails when somebody has it
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return Device{}, fmt.Errorf("update: %w", err)
	}
	return Device{f}, nil
}

// Sync also forgets what was read, so that what is read again comes from the
// card.
func (d Device) Sync() error {
	if err := d.File.Sync(); err != nil {
		return err
	}
	return forget(d.File)
}
