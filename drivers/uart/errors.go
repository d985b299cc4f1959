package uart

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// icounter is what TIOCGICOUNT fills (linux/serial.h, serial_icounter_struct).
type icounter struct {
	cts, dsr, rng, dcd             int32
	rx, tx                         int32
	frame, overrun, parity, breaks int32
	bufferOverrun                  int32
	reserved                       [9]int32
}

// LineErrors are what a port's driver counted since the port was opened; the tags
// are those of firmware/platform/counter.
type LineErrors struct {
	Overrun       uint64 `count:"overruns" help:"Times that the UART's FIFO was full and bytes were lost: the machine was too slow."`
	Frame         uint64 `count:"frame_errors" help:"Bytes without a stop bit: noise, or another baud rate."`
	Parity        uint64 `count:"parity_errors" help:"Bytes whose parity was wrong."`
	Break         uint64 `count:"breaks" help:"Times that the line was held at 0: unplugged, or the transmitter has no power."`
	BufferOverrun uint64 `count:"buffer_overruns" help:"Times that the kernel's buffer was full and bytes were lost."`
}

// Counts returns LineErrors, or nil where the port's driver does not count.
func (r *Receiver) Counts() any {
	now, ok := readLineErrors(r.file)
	if !r.counts || !ok {
		return nil
	}
	return now.since(r.before)
}

// lineErrors are the same as the kernel counts them, which wraps.
type lineErrors struct{ overrun, frame, parity, breaks, bufferOverrun uint32 }

// readLineErrors asks the port's driver; ok is false where it does not count, as
// on a pty.
func readLineErrors(f *os.File) (e lineErrors, ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return e, false
	}
	var c icounter
	err = raw.Control(func(fd uintptr) {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c)))
		ok = errno == 0
	})
	return c.errors(), ok && err == nil
}

func (c *icounter) errors() lineErrors {
	return lineErrors{uint32(c.overrun), uint32(c.frame), uint32(c.parity), uint32(c.breaks), uint32(c.bufferOverrun)}
}

// since returns what was counted after before, over one wrap at most.
func (e lineErrors) since(before lineErrors) LineErrors {
	return LineErrors{
		Overrun: uint64(e.overrun - before.overrun), Frame: uint64(e.frame - before.frame),
		Parity: uint64(e.parity - before.parity),
		Break:  uint64(e.breaks - before.breaks), BufferOverrun: uint64(e.bufferOverrun - before.bufferOverrun),
	}
}
