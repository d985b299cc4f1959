package store

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Flags of open(2) that Windows does not have: no file here is a pipe there, and
// links take an administrator to make.
const (
	noFollow = 0
	nonBlock = 0
)

// openLock opens what stands for a folder's lock: a file in it, because a folder
// cannot be locked.
func openLock(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, lockName+".held"), os.O_RDWR|os.O_CREATE, fileMode)
}

const errLocked = windows.ERROR_LOCK_VIOLATION

// lockFile locks an open file for as long as it is open.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{})
}

// syncFolder leaves folders to NTFS, whose log keeps names in order: a folder cannot
// be synced by a user who is not an administrator.
func (disk) syncFolder(string) error { return nil }
