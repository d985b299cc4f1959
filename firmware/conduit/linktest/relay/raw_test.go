package relay

import (
	"os"

	"golang.org/x/sys/unix"
)

// raw makes a terminal pass bytes as they are.
func raw(f *os.File) error {
	connection, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = connection.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, set = unix.IoctlGetTermios(int(fd), unix.TCGETS); set != nil {
			return
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		set = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	if err != nil {
		return err
	}
	return set
}
