package uart

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A serial port of Linux echoes before a program can turn that off. Opening it starts its
// receiver with the line discipline's first settings, which have ECHO on
// (tty_std_termios in drivers/tty/tty_io.c), and a byte that arrives between open(2)
// and TCSETS2 goes back out of the transmitter. What echoes is a work item of the
// kernel (flush_to_ldisc), not the interrupt, so the answer is late enough to be
// prevented: see hold.

// request is what start passes to the kernel; it is set before the port is open, so
// that nothing has to be computed afterwards.
type request struct {
	path     *byte
	mode     uintptr
	output   uintptr // TCOOFF or TCOON
	settings *unix.Termios
}

// step is a system call of start.
type step int

const (
	opening step = iota
	locking
	setting
	done
)

// start opens a port, locks it and sets it by consecutive system calls: no call of
// the Go scheduler, no check of the stack and no allocation stands between them. A
// lock, not TIOCEXCL, keeps others out: that would also shut out a pty's own
// supervisor. Output that came about all the same is dropped before it leaves.
//
//go:nosplit
//go:norace
func (r *request) start() (fd uintptr, failed step, errno unix.Errno) {
	folder := unix.AT_FDCWD
	fd, _, errno = unix.RawSyscall6(unix.SYS_OPENAT, uintptr(folder), uintptr(unsafe.Pointer(r.path)), r.mode, 0, 0, 0)
	if errno != 0 {
		return fd, opening, errno
	}
	if _, _, errno = unix.RawSyscall(unix.SYS_FLOCK, fd, unix.LOCK_EX|unix.LOCK_NB, 0); errno != 0 {
		return fd, locking, errno
	}
	_, _, stopped := unix.RawSyscall(unix.SYS_IOCTL, fd, unix.TCXONC, r.output)
	_, _, errno = unix.RawSyscall(unix.SYS_IOCTL, fd, unix.TCSETS2, uintptr(unsafe.Pointer(r.settings)))
	if errno == 0 {
		errno = stopped
	}
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_IOCTL, fd, unix.TCFLSH, unix.TCIOFLUSH)
	}
	if errno != 0 {
		return fd, setting, errno
	}
	return fd, done, 0
}
