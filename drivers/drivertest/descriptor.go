package drivertest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Descriptor returns a copy of f's descriptor that a driver may own, as one that
// another process hands over. f is closed when the test ends.
func Descriptor(t testing.TB, f *os.File) int {
	t.Helper()
	t.Cleanup(func() { _ = f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	again := -1
	_ = raw.Control(func(fd uintptr) { again, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return again
}
