package store

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// direct is the flag of open(2) for writes past the page cache.
const direct = syscall.O_DIRECT

func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
