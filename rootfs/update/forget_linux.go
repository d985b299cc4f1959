package update

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget has the next read of a file come from the disk.
func forget(f *os.File) error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
