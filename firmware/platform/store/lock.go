package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const lockName = "lock"

// ErrInUse is returned for a folder that another process has locked.
var ErrInUse = errors.New("store: in use")

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
	holder := filepath.Join(dir, lockName)
	err = lockFile(f)
	switch {
	case errors.Is(err, errLocked):
		f.Close()
		number, _ := (disk{}).read(holder, 20)
		process := "another process"
		if pid := strings.TrimSpace(string(number)); pid != "" {
			process = "process " + pid
		}
		return nil, fmt.Errorf("%w: %s is in use by %s: give this one another [state] directory, or end that process",
			ErrInUse, dir, process)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("store: locking %s: %w", dir, err)
	}
	_ = ReplaceFile(holder, fileMode, fmt.Appendf(nil, "%d\n", os.Getpid()))
	return func() { f.Close() }, nil
}
