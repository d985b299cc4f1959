package uart

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arrived returns how many bytes the port of a transmitter has received; ok is false where
// that is not known. A driver counts them although CREAD is off. One that does not count,
// such as a pty's, shows what waits to be read, which no one does.
func (t *Transmitter) Arrived() (bytes uint64, ok bool) {
	asked := t.port.ask(func(fd int) {
		var c icounter
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c)))
		if errno == 0 {
			bytes, ok = uint64(uint32(c.rx)), true
			return
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		bytes, ok = uint64(max(n, 0)), err == nil
	})
	return bytes, ok && asked
}
