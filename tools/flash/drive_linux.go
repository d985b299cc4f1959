package flash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Local is this computer.
func Local() Machine { return Linux{os.DirFS("/")} }

// Linux is a computer as its sysfs and the tables of mounts and swap describe it. Root
// holds sys and proc.
type Linux struct{ Root fs.FS }

// Drives implements Machine.
func (l Linux) Drives() ([]Drive, error) { return sysfsDrives(l.Root) }

// At implements Machine. A name in /dev that nothing has is a slip of the hand, not a
// file to make in the machine's memory.
func (l Linux) At(path string) (Drive, bool, error) {
	info, err := os.Stat(path)
	absolute, _ := filepath.Abs(path)
	if filepath.Dir(absolute) == "/dev" && (errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular()) {
		return Drive{}, false, fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
	}
	if is, err := ordinary(path); is || err != nil {
		return Drive{}, false, err
	}
	if f, err := os.Open(path); err == nil { // has the reader notice a new card
		f.Close()
	}
	d, err := driveOf(l.Root, number(info))
	return d, err == nil, err
}

// number is a device's as sysfs writes it.
func number(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", unix.Major(s.Rdev), unix.Minor(s.Rdev))
}

// Open implements Machine. The kernel refuses a drive that anything else uses, unless it
// is shared.
func (l Linux) Open(d Drive, shared bool) (Disk, error) {
	flags := os.O_RDWR
	if !shared {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(d.Path, flags, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("flash: no permission to write %s: run it with sudo", d.Path)
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("flash: something uses %s: unmount it and close what has it open", d.Path)
	case err != nil:
		return nil, fmt.Errorf("flash: %w", err)
	}
	c := blockDevice{f}
	if err := c.unchanged(d); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// blockDevice is an open drive.
type blockDevice struct{ *os.File }

// unchanged compares what is open with what was looked at.
func (b blockDevice) unchanged(d Drive) error {
	info, err := b.Stat()
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	end, err := b.Seek(0, io.SeekEnd)
	if err != nil || number(info) != d.Number || end != d.Size {
		return fmt.Errorf("flash: %s changed meanwhile: start again", d.Path)
	}
	return nil
}

// Forget implements medium.
func (b blockDevice) Forget() error {
	if err := unix.IoctlSetInt(int(b.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return fmt.Errorf("emptying the cache: %w", err)
	}
	return forget(b.File)
}

func forget(f *os.File) error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

// eject is CDROMEJECT of linux/cdrom.h, which card readers support as well.
const eject = 0x5309

// Release implements Disk.
func (b blockDevice) Release() string {
	switch {
	case unix.IoctlSetInt(int(b.Fd()), eject, 0) == nil:
		return ejected
	case unix.IoctlSetInt(int(b.Fd()), unix.BLKRRPART, 0) == nil:
		return "all of it is on the card, which the reader cannot eject: take it out"
	}
	return "all of it is on the card; the system still sees the old partitions until it is taken out"
}
