package ethernet

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"heliograph/drivers/backoff"
	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

// Our own choices.
const (
	maxWait    = 4 * time.Millisecond // of one Transmit while the card has no room
	sendBuffer = 1 << 20
	stuckFor   = time.Second // without one frame taken, before an interface that is not seen has no carrier
)

// Transmitter sends frames on one interface. It is not safe for concurrent
// use, but for Close.
type Transmitter struct {
	port   Port
	name   string // of the interface, for messages and the kernel
	log    *slog.Logger
	handed bool // the socket is another process's work: there is no second one

	mu     sync.Mutex // guards socket's place and closed
	socket *mmsg.Sender
	closed bool

	stuck time.Time // since when nothing was taken; zero: the last frame was
	away  error     // the last one, while socket is nil
	pause backoff.Pause

	messages [batch]mmsg.Message
	vectors  [batch][2]unix.Iovec
	heads    [batch]head
}

// OpenTransmitter makes the port's interface silent, brings it up, and returns a
// transmitter on it.
func OpenTransmitter(p Port, log *slog.Logger) (*Transmitter, error) {
	t := newTransmitter(p, log)
	if err := t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

func newTransmitter(p Port, log *slog.Logger) *Transmitter {
	t := &Transmitter{port: p, name: p.Interface, log: log}
	for i := range t.messages {
		t.vectors[i][0].Base = &t.heads[i][0]
		t.vectors[i][0].SetLen(headSize)
		t.messages[i].Header.Iov = &t.vectors[i][0]
		t.messages[i].Header.SetIovlen(2)
	}
	return t
}

// transmitting makes the interface silent and opens a socket on it that never
// receives.
func transmitting(p Port, log *slog.Logger) (fd int, d device, err error) {
	if d, err = takeUp(p, log); err != nil {
		return -1, device{}, err
	}
	fd, err = socket(d.index, 0, func(fd int) error {
		if err := mmsg.DropAll(fd); err != nil {
			return err
		}
		if _, err := mmsg.SendBuffer(fd, sendBuffer); err != nil {
			return err
		}
		// Frames go to the card at once, past queues that others may fill.
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return fmt.Errorf("setting PACKET_QDISC_BYPASS: %w", err)
		}
		return nil
	})
	if err != nil {
		return -1, device{}, fmt.Errorf("ethernet: %s: %w", d.name, err)
	}
	return fd, d, nil
}

func (t *Transmitter) open() error {
	fd, d, err := transmitting(t.port, t.log)
	if err != nil {
		return err
	}
	return t.use(fd, d)
}

// use puts a socket in place.
func (t *Transmitter) use(fd int, d device) error {
	s, err := mmsg.NewSender(fd, "ethernet:"+d.name)
	if err != nil {
		return err
	}
	h := newHead(d.address)
	for i := range t.heads {
		t.heads[i] = h
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errors.Join(errClosed(t.name), s.Close())
	}
	t.socket, t.name = s, d.name
	return nil
}

// Transmit sends frames in order and returns how many have left. When the card
// has no room for some milliseconds the rest is unsent, without an error. While
// the interface is away it returns an error at once. Frames are not kept.
func (t *Transmitter) Transmit(frames [][]byte) (sent int, err error) {
	s, err := t.current(time.Now())
	if err != nil {
		return 0, err
	}
	left := maxWait
	for sent < len(frames) {
		planned := t.plan(frames[sent:])
		if planned == 0 {
			return sent, fmt.Errorf("ethernet: a frame of %d bytes is longer than the %d that fit", len(frames[sent]),
				MaxFrame)
		}
		n, err := s.Send(t.messages[:planned], &left)
		for i := range planned {
			t.vectors[i][1] = unix.Iovec{}
		}
		sent += n
		switch {
		case err != nil:
			return sent, t.lose(s, err)
		case n < planned && t.dark(sent, time.Now()):
			return sent, fmt.Errorf("ethernet: %s has no carrier; check the cable, the converter and the far end's "+
				"power", t.name)
		case n < planned:
			return sent, nil
		}
	}
	t.stuck = time.Time{}
	return sent, nil
}

// dark reports whether the interface, which did not take all frames, has no carrier. One that was handed
// over is in a network namespace that this process does not see: it has none when it takes nothing.
func (t *Transmitter) dark(sent int, now time.Time) bool {
	switch {
	case !t.handed:
		return !running(t.name)
	case sent > 0:
		t.stuck = time.Time{}
	case t.stuck.IsZero():
		t.stuck = now
	}
	return !t.stuck.IsZero() && now.Sub(t.stuck) >= stuckFor
}

// plan fills messages with the frames of one system call, and stops before one
// that is too long.
func (t *Transmitter) plan(frames [][]byte) int {
	for i := range min(batch, len(frames)) {
		f := frames[i]
		if len(f) > MaxFrame {
			return i
		}
		t.heads[i].setLength(len(f))
		v := &t.vectors[i][1]
		*v = unix.Iovec{}
		if len(f) > 0 {
			v.Base = &f[0]
		}
		v.SetLen(len(f))
	}
	return min(batch, len(frames))
}

// current returns the socket; where there is none, after a pause a new one.
func (t *Transmitter) current(now time.Time) (*mmsg.Sender, error) {
	t.mu.Lock()
	s, closed := t.socket, t.closed
	t.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed(t.name)
	case s != nil:
		return s, nil
	case !t.pause.Over(now):
		return nil, t.away
	}
	if t.away = t.open(); t.away != nil {
		t.pause.Begin(time.Now())
		return nil, t.away
	}
	t.pause = backoff.Pause{}
	t.log.Info("interface opened again", "interface", t.name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.socket == nil {
		return nil, errClosed(t.name)
	}
	return t.socket, nil
}

// lose closes a socket whose interface went down or away.
func (t *Transmitter) lose(s *mmsg.Sender, cause error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || errors.Is(cause, os.ErrClosed) {
		return errClosed(t.name)
	}
	t.away = fmt.Errorf("ethernet: sending on %s: %w%s", t.name, cause, lost(cause))
	if t.handed {
		return t.away
	}
	t.socket = nil
	t.pause.Begin(time.Now())
	return errors.Join(t.away, s.Close())
}

// Close releases the socket. The interface stays up and silent.
func (t *Transmitter) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.socket
	t.socket, t.closed = nil, true
	if s == nil {
		return nil
	}
	return s.Close()
}

func errClosed(name string) error { return fmt.Errorf("ethernet: %s: %w", name, os.ErrClosed) }

func lost(cause error) string {
	if errors.Is(cause, unix.ENETDOWN) || errors.Is(cause, unix.ENXIO) || errors.Is(cause, unix.ENODEV) {
		return " (the interface went down or away; it is taken up again when it is there)"
	}
	return ""
}
