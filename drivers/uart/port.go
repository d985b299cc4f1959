package uart

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"heliograph/drivers/backoff"

	"golang.org/x/sys/unix"
)

// port is a serial port that is closed after an error, such as that of a USB adapter that was
// unplugged, and opened again when it is there. One that another process opened is kept as it is.
type port struct {
	device string // "": another process's work, there is no second one
	baud   int
	mode   int // of unix.Open

	mu     sync.Mutex // guards what follows
	file   *os.File   // nil: away
	closed bool
	away   error // the last one, while file is nil
	pause  backoff.Pause
}

// openPort opens and sets device.
func openPort(device string, baud, mode int) (*port, []string, error) {
	f, warnings, err := open(device, baud, mode, false)
	if err != nil {
		return nil, nil, err
	}
	return &port{device: device, baud: baud, mode: mode, file: f}, warnings, nil
}

// handed reports whether another process opened the port.
func (p *port) handed() bool { return p.device == "" }

// current returns the port's file; where there is none, after a pause another one, and true.
func (p *port) current(now time.Time) (f *os.File, again bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, false, fmt.Errorf("uart: %s: %w", p.device, os.ErrClosed)
	case p.file != nil:
		return p.file, false, nil
	case !p.pause.Over(now):
		return nil, false, p.away
	}
	if f, _, err = open(p.device, p.baud, p.mode, false); err != nil {
		p.away = err
		p.pause.Begin(time.Now())
		return nil, false, err
	}
	p.file, p.pause = f, backoff.Pause{}
	return f, true, nil
}

// lose closes a file after an error. What the port has not sent is dropped, since closing would
// wait for it.
func (p *port) lose(f *os.File, cause error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || errors.Is(cause, os.ErrClosed):
		return fmt.Errorf("uart: %w", cause)
	case p.handed():
		return fmt.Errorf("uart: %w; reopen the port", cause)
	}
	p.away = fmt.Errorf("uart: %w (the port is opened again when it is there)", cause)
	p.file = nil
	p.pause.Begin(time.Now())
	control(f, func(fd int) { _ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
	_ = f.Close() // of a port that is away it may fail, and the descriptor is free all the same
	return p.away
}

// ask calls ask with the descriptor of the port, and returns false where there is none.
func (p *port) ask(ask func(fd int)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file != nil && control(p.file, ask)
}

// close releases the port.
func (p *port) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.file
	p.file, p.closed = nil, true
	if f == nil {
		return nil
	}
	return f.Close()
}

// control calls ask with a file's descriptor, and returns false where it is closed.
func control(f *os.File, ask func(fd int)) bool {
	raw, err := f.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { ask(int(fd)) }) == nil
}
