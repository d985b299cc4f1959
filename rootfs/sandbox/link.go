package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CheckLink refuses a descriptor that is not a link of this direction, before
// anything runs with it: it must be a character device that is open in this direction
// only, or a socket; a transmitter's socket has its filter locked.
func CheckLink(f *os.File, d Direction) error {
	if f == nil {
		return errors.New("sandbox: no link; open it first")
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("sandbox: the link %s: %w", f.Name(), err)
	}
	var bad error
	if err := raw.Control(func(fd uintptr) { bad = checkLink(int(fd), d) }); err != nil {
		return fmt.Errorf("sandbox: the link %s: %w", f.Name(), err)
	}
	if bad != nil {
		return fmt.Errorf("sandbox: the link %s: %w", f.Name(), bad)
	}
	return nil
}

func checkLink(fd int, d Direction) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	switch kind := stat.Mode & unix.S_IFMT; {
	case kind == unix.S_IFSOCK:
		return checkSocket(fd, d)
	case kind != unix.S_IFCHR:
		return fmt.Errorf("it is of type %#o, want a character device or a socket", kind)
	}
	want := unix.O_WRONLY
	if d == Receive {
		want = unix.O_RDONLY
	}
	if got := flags & unix.O_ACCMODE; got != want {
		return fmt.Errorf("it is open with access mode %d, want %d: one direction only", got, want)
	}
	return nil
}

func checkSocket(fd int, d Direction) error {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	if family == unix.AF_UNIX {
		return errors.New("it is a Unix socket, over which descriptors can be handed; use a device, a packet or a " +
			"UDP socket")
	}
	if d == Receive {
		return nil
	}
	locked, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER)
	if err != nil {
		return err
	}
	if locked == 0 {
		return errors.New("nothing keeps it from receiving; attach a filter that drops all, and lock it")
	}
	return nil
}
