//go:build unix

package store

import (
	"os"
	"syscall"
)

// Flags of open(2).
const (
	noFollow = syscall.O_NOFOLLOW
	nonBlock = syscall.O_NONBLOCK
)

// openLock opens what stands for a folder's lock: the folder itself.
func openLock(dir string) (*os.File, error) { return os.Open(dir) }

const errLocked = syscall.EWOULDBLOCK

// lockFile locks an open file for as long as it is open.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

func (disk) syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
