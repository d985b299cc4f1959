package uart

import (
	"sync"
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

// LineErrors are what a port's driver counted since the port was first opened; the tags
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
	total, ok := r.errors.count(r.port)
	if !ok {
		return nil
	}
	return total
}

// errorCounter adds up what each opening of a port has counted.
type errorCounter struct {
	mu     sync.Mutex
	open   bool
	counts bool       // the port's driver does
	before lineErrors // of earlier users of the port
	closed LineErrors // of earlier openings
	total  LineErrors // as last read
}

// begin begins another opening.
func (c *errorCounter) begin(p *port) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.closed = true, c.total
	c.before, c.counts = readLineErrors(p)
}

// end ends an opening, while the port is open still.
func (c *errorCounter) end(p *port) {
	c.count(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = false
}

// count returns what was counted by now, and as last read while the port is away; ok is false
// where the driver does not count.
func (c *errorCounter) count(p *port) (total LineErrors, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := readLineErrors(p); ok && c.open && c.counts {
		c.total = c.closed.plus(now.since(c.before))
	}
	return c.total, c.counts
}

// lineErrors are the same as the kernel counts them, which wraps.
type lineErrors struct{ overrun, frame, parity, breaks, bufferOverrun uint32 }

// readLineErrors asks the port's driver; ok is false where it does not count, as
// on a pty.
func readLineErrors(p *port) (e lineErrors, ok bool) {
	var c icounter
	asked := p.ask(func(fd int) {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c)))
		ok = errno == 0
	})
	return c.errors(), ok && asked
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

// plus returns the sum of both.
func (e LineErrors) plus(o LineErrors) LineErrors {
	return LineErrors{
		Overrun: e.Overrun + o.Overrun, Frame: e.Frame + o.Frame, Parity: e.Parity + o.Parity,
		Break: e.Break + o.Break, BufferOverrun: e.BufferOverrun + o.BufferOverrun,
	}
}
