package ethernet

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/drivers/backoff"
	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

// Our own choices.
const (
	// WantedBuffer is the receive buffer a receiver asks for: a quarter of a
	// second of a full 1 GbE line.
	WantedBuffer = 32 << 20

	slot = 2048 // bytes for one frame with its head; what is longer is refused
)

// Receiver receives frames on one interface. It is not safe for concurrent
// use, but for Close and the counters.
type Receiver struct {
	port   Port
	name   string // of the interface, for messages
	log    *slog.Logger
	handed bool // the socket is another process's work: there is no second one

	mu     sync.Mutex // guards what follows, up to closed
	socket *mmsg.Receiver
	drops  mmsg.Drops
	total  uint64 // of drops
	buffer int    // bytes
	closed bool

	closing   chan struct{}
	oversize  atomic.Uint64
	malformed atomic.Uint64

	away  error // the last one, while socket is nil
	pause backoff.Pause

	messages [batch]mmsg.Message
	vectors  [batch]unix.Iovec
	room     []byte // batch × slot
}

// OpenReceiver makes the port's interface silent, brings it up, and returns a
// receiver on it.
func OpenReceiver(p Port, log *slog.Logger) (*Receiver, error) {
	r := newReceiver(p, log)
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

func newReceiver(p Port, log *slog.Logger) *Receiver {
	r := &Receiver{port: p, name: p.Interface, log: log, closing: make(chan struct{}), room: make([]byte, batch*slot)}
	for i := range r.messages {
		r.vectors[i].Base = &r.room[i*slot]
		r.vectors[i].SetLen(slot)
		r.messages[i].Header.Iov = &r.vectors[i]
		r.messages[i].Header.SetIovlen(1)
	}
	return r
}

// receiving makes the interface silent and opens a socket on it.
func receiving(p Port, log *slog.Logger) (fd int, d device, err error) {
	if d, err = takeUp(p, log); err != nil {
		return -1, device{}, err
	}
	fd, err = socket(d.index, EtherType, func(fd int) error {
		_, err := mmsg.ReceiveBuffer(fd, WantedBuffer)
		return err
	})
	if err != nil {
		return -1, device{}, fmt.Errorf("ethernet: %s: %w", d.name, err)
	}
	return fd, d, nil
}

func (r *Receiver) open() error {
	fd, d, err := receiving(r.port, r.log)
	if err != nil {
		return err
	}
	return r.use(fd, d.name)
}

// use puts a socket in place.
func (r *Receiver) use(fd int, name string) error {
	buffer, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return fmt.Errorf("ethernet: %s: reading the socket's buffer: %w", name, err)
	}
	s, err := mmsg.NewReceiver(fd, "ethernet:"+name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.Join(errClosed(r.name), s.Close())
	}
	r.drops.Restart()
	r.socket, r.name = s, name
	r.buffer = buffer / 2 // socket(7): the kernel doubles it
	return nil
}

// Receive waits at most timeout and calls deliver with each frame of one batch.
// A frame is valid during the call only. Silence is not an error. While the
// interface is away it waits too, and then returns an error.
func (r *Receiver) Receive(timeout time.Duration, deliver func(frame []byte)) error {
	s, err := r.current(timeout)
	if err != nil {
		return err
	}
	for i := range r.messages {
		r.messages[i].Header.Flags = 0
	}
	n, err := s.Receive(r.messages[:], timeout)
	if err != nil {
		return r.lose(s, err)
	}
	for i := range n {
		m := &r.messages[i]
		if m.Header.Flags&unix.MSG_TRUNC != 0 {
			r.oversize.Add(1)
		} else if frame, ok := open(r.room[i*slot:][:m.Length]); ok {
			deliver(frame)
		} else {
			r.malformed.Add(1)
		}
	}
	return nil
}

// current returns the socket; where there is none, after a pause a new one.
func (r *Receiver) current(timeout time.Duration) (*mmsg.Receiver, error) {
	r.mu.Lock()
	s, closed := r.socket, r.closed
	r.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed(r.name)
	case s != nil:
		return s, nil
	}
	if wait := time.Until(r.pause.Until()); wait > 0 {
		select {
		case <-r.closing:
			return nil, errClosed(r.name)
		case <-time.After(min(wait, timeout)):
		}
		if wait > timeout {
			return nil, r.away
		}
	}
	if r.away = r.open(); r.away != nil {
		r.pause.Begin(time.Now())
		return nil, r.away
	}
	r.pause = backoff.Pause{}
	r.log.Info("interface opened again", "interface", r.name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket == nil {
		return nil, errClosed(r.name)
	}
	return r.socket, nil
}

// lose closes a socket whose interface went down or away.
func (r *Receiver) lose(s *mmsg.Receiver, cause error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || errors.Is(cause, os.ErrClosed) {
		return errClosed(r.name)
	}
	r.away = fmt.Errorf("ethernet: receiving on %s: %w%s", r.name, cause, lost(cause))
	if r.handed {
		return r.away
	}
	r.count(s)
	r.socket = nil
	r.pause.Begin(time.Now())
	return errors.Join(r.away, s.Close())
}

// count adds what the kernel had no room for. The caller holds mu.
func (r *Receiver) count(s *mmsg.Receiver) {
	_ = s.Control(func(fd int) {
		if m, err := mmsg.ReadMemInfo(fd); err == nil {
			r.total = r.drops.Add(m.Drops)
		}
	})
}

// Dropped counts the frames for which the kernel had no room.
func (r *Receiver) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket != nil {
		r.count(r.socket)
	}
	return r.total
}

// Oversize counts what arrived and was longer than any frame.
func (r *Receiver) Oversize() uint64 { return r.oversize.Load() }

// Malformed counts what arrived with a length that cannot be.
func (r *Receiver) Malformed() uint64 { return r.malformed.Load() }

// Refusals are the receiver's counters that are no frames of the link; the tags are
// those of firmware/platform/counter.
type Refusals struct {
	Oversize  uint64 `count:"oversize_frames" help:"Ethernet frames longer than any frame of the link."`
	Malformed uint64 `count:"malformed_frames" help:"Ethernet frames whose length cannot be."`
}

// Counts returns the counters.
func (r *Receiver) Counts() any { return Refusals{r.Oversize(), r.Malformed()} }

// Buffer is the size of the receive buffer in bytes. Below WantedBuffer the
// machine's limit, net.core.rmem_max, costs frames in bursts.
func (r *Receiver) Buffer() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer
}

// Close ends a Receive that waits, and releases the socket. The interface
// stays up and silent.
func (r *Receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed(r.name)
	}
	r.closed = true
	close(r.closing)
	s := r.socket
	r.socket = nil
	if s == nil {
		return nil
	}
	r.count(s)
	return s.Close()
}
