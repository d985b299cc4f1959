package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const lockName = "lock"

// ErrInUse is returned for a folder that another process has locked.
var ErrInUse = errors.New("store: in use")

// ReadHolder returns the process that has locked dir last.
func ReadHolder(dir string) (pid int, err error) {
	number, err := (disk{}).read(filepath.Join(dir, lockName), 20)
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(number)))
	}
	if err == nil && pid <= 0 {
		err = ErrCorrupt
	}
	return pid, err
}

// Lock makes dir this process's own, creating it when it is missing. The kernel
// gives it back when release is called or the process ends, however it ends.
// It is the folder that is locked where the system can, which works on a disk that is read-only too;
// the file "lock" in it names the last holder, for the message to the next.
func Lock(dir string) (release func(), err error) {
	if err := Folder(dir); err != nil {
		return nil, err
	}
	f, err := openLock(dir)
	if err != nil {
		return nil, fmt.Errorf("store: locking %s: %w", dir, err)
	}
	err = lockFile(f)
	switch {
	case errors.Is(err, errLocked):
		f.Close()
		process := "another process"
		if pid, err := ReadHolder(dir); err == nil {
			process = fmt.Sprintf("process %d", pid)
		}
		return nil, fmt.Errorf("%w: %s is in use by %s: give this one another [state] directory, or end that process",
			ErrInUse, dir, process)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("store: locking %s: %w", dir, err)
	}
	_ = ReplaceFile(filepath.Join(dir, lockName), fileMode, fmt.Appendf(nil, "%d\n", os.Getpid()))
	return func() { f.Close() }, nil
}
