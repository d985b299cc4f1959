package flash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// target is what a name stands for: a drive of this machine, or a plain file.
type target struct {
	path  string
	drive Drive // the zero value: a plain file
}

func (t target) isFile() bool { return t.drive.Name == "" }

// find says what stands at a path. A name in /dev that nothing has is a slip of
// the hand, not a file to make in the machine's memory.
func find(root fs.FS, path string) (target, error) {
	t := target{path: path}
	info, err := os.Stat(path)
	absolute, _ := filepath.Abs(path)
	switch {
	case filepath.Dir(absolute) == "/dev" && (errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular()):
		return t, fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().IsRegular():
		return t, nil
	case err != nil:
		return t, fmt.Errorf("flash: %v", err)
	case info.Mode().Type() != fs.ModeDevice:
		return t, fmt.Errorf("flash: %s is neither a drive nor a plain file: name one", path)
	}
	if f, err := os.Open(path); err == nil { // has the reader notice a new card
		f.Close()
	}
	t.drive, err = driveOf(root, number(info))
	return t, err
}

// number is a device's as sysfs writes it.
func number(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", unix.Major(s.Rdev), unix.Minor(s.Rdev))
}

// driveOf returns the drive that has a device number; a partition has one too.
func driveOf(root fs.FS, number string) (Drive, error) {
	list, err := Drives(root)
	if err != nil {
		return Drive{}, err
	}
	for _, d := range list {
		if d.Number == number {
			return d, nil
		}
	}
	for _, d := range list {
		for _, name := range family(root, "sys/block/"+d.Name, map[string]bool{}) {
			if text(root, "sys/class/block", name, "dev") == number && strings.HasPrefix(name, d.Name) {
				return Drive{}, fmt.Errorf("flash: /dev/%s is a part of a drive: name the whole one, %s", name,
					d.Path())
			}
		}
	}
	return Drive{}, fmt.Errorf("flash: the system does not list device %s: take the drive out and put it in again",
		number)
}

// same says whether neither drive nor medium was exchanged.
func (t target) same(other target) bool { return reflect.DeepEqual(t, other) }

// card is an open target.
type card struct {
	*os.File
	target
}

// open opens a target for writing. The kernel refuses a drive that anything
// else uses, although it was free before, unless the operator overrides that.
func (t target) open(override bool) (card, error) {
	flags := os.O_RDWR
	switch {
	case t.isFile():
		flags |= os.O_CREATE | os.O_TRUNC
	case !override:
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(t.path, flags, 0o600)
	switch {
	case errors.Is(err, fs.ErrPermission) && !t.isFile():
		return card{}, fmt.Errorf("flash: no permission to write %s: run it with sudo", t.path)
	case errors.Is(err, unix.EBUSY):
		return card{}, fmt.Errorf("flash: something uses %s: unmount it and close what has it open", t.path)
	case err != nil:
		return card{}, fmt.Errorf("flash: %v", err)
	}
	c := card{f, t}
	if err := c.unchanged(); err != nil {
		f.Close()
		return card{}, err
	}
	return c, nil
}

// unchanged compares what is open with what was looked at.
func (c card) unchanged() error {
	if c.isFile() {
		return nil
	}
	info, err := c.Stat()
	if err != nil {
		return fmt.Errorf("flash: %v", err)
	}
	end, err := c.Seek(0, io.SeekEnd)
	if err != nil || number(info) != c.drive.Number || end != c.drive.Size {
		return fmt.Errorf("flash: %s changed meanwhile: start again", c.path)
	}
	return nil
}

// Forget implements medium.
func (c card) Forget() error {
	if !c.isFile() {
		if err := unix.IoctlSetInt(int(c.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return fmt.Errorf("emptying the cache: %v", err)
		}
	}
	return unix.Fadvise(int(c.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// eject is CDROMEJECT of linux/cdrom.h, which card readers support as well.
const eject = 0x5309

// release gives a drive back and says what may be done with it.
func (c card) release() string {
	switch {
	case c.isFile():
		return "copy it to a card as it is"
	case unix.IoctlSetInt(int(c.Fd()), eject, 0) == nil:
		return "ejected: take it out"
	case unix.IoctlSetInt(int(c.Fd()), unix.BLKRRPART, 0) == nil:
		return "all of it is on the card, which the reader cannot eject: take it out"
	}
	return "all of it is on the card; the system still sees the old partitions until it is taken out"
}
