package flash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
)

// target is what a name stands for: a drive of this machine, or a plain file.
type target struct {
	path  string
	drive Drive // the zero value: a plain file
}

func (t target) isFile() bool { return t.drive.Name == "" }

// find says what stands at a path.
func find(m Machine, path string) (target, error) {
	d, _, err := m.At(path)
	return target{path, d}, err
}

// ordinary says whether a path is that of a plain file that is there or can be made.
func ordinary(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().IsRegular():
		return true, nil
	case err != nil:
		return false, fmt.Errorf("flash: %w", err)
	case info.Mode().Type() != fs.ModeDevice:
		return false, fmt.Errorf("flash: %s is neither a drive nor a plain file: name one", path)
	}
	return false, nil
}

// same says whether neither drive nor medium was exchanged.
func (t target) same(other target) bool { return reflect.DeepEqual(t, other) }

// open opens a target for writing. A drive that anything else uses is refused, although it
// was free before, unless the operator overrides that.
func (t target) open(m Machine, override bool) (Disk, error) {
	if !t.isFile() {
		return m.Open(t.drive, override)
	}
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("flash: %w", err)
	}
	return plainFile{f}, nil
}

// plainFile is an image that is written as one.
type plainFile struct{ *os.File }

// Forget implements medium.
func (f plainFile) Forget() error { return forget(f.File) }

// Release implements Disk.
func (plainFile) Release() string { return "copy it to a card as it is" }
