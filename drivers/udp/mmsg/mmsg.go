// Package mmsg moves batches of datagrams through a Linux socket in one system
// call (sendmmsg(2), recvmmsg(2)), in one direction.
//
// A Sender has no way to receive, a Receiver none to send. Both work on a
// non-blocking descriptor, allocate nothing per call, and refuse to wait
// longer than the caller allows.
package mmsg

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Message is the kernel's struct mmsghdr.
type Message struct {
	Header unix.Msghdr
	Length uint32 // received bytes, set by the kernel
}

// retryInterval is how long to wait when a device's queue is full, which poll(2) does
// not report.
const retryInterval = 250 * time.Microsecond

// Sender sends. Not safe for concurrent use, but for Close and Control.
type Sender struct {
	file *os.File
	raw  syscall.RawConn

	messages []Message
	sent     int
	errno    unix.Errno
	once     func(fd uintptr)
	ready    func(fd uintptr) bool
}

// NewSender adopts a non-blocking socket.
func NewSender(fd int, name string) (*Sender, error) {
	file, raw, err := adopt(fd, name)
	if err != nil {
		return nil, err
	}
	s := &Sender{file: file, raw: raw}
	s.once = func(fd uintptr) { s.try(fd) }
	s.ready = func(fd uintptr) bool { s.try(fd); return s.errno != unix.EAGAIN }
	return s, nil
}

// Send sends messages in order and returns how many have left. While the kernel
// has no room it waits, and subtracts the time from *left; what then remains is
// unsent without an error. An error of the kernel is a unix.Errno and concerns
// messages[sent].
func (s *Sender) Send(messages []Message, left *time.Duration) (sent int, err error) {
	for s.messages = messages; len(s.messages) > 0; {
		s.sent = 0
		if s.raw.Control(s.once) != nil {
			return sent, os.ErrClosed // the one reason there is
		}
		if s.errno == unix.EAGAIN || s.errno == unix.ENOBUFS {
			if *left <= 0 {
				return sent, nil
			}
			if err := s.wait(left); err != nil {
				return sent, err
			}
		}
		sent += s.sent
		s.messages = s.messages[s.sent:]
		if s.errno != 0 && s.errno != unix.EAGAIN && s.errno != unix.ENOBUFS {
			return sent, s.errno
		}
	}
	return sent, nil
}

// wait tries again once there is room, or a little later.
func (s *Sender) wait(left *time.Duration) error {
	start := time.Now()
	defer func() { *left -= time.Since(start) }()
	if s.errno == unix.ENOBUFS {
		time.Sleep(min(retryInterval, *left))
		if s.raw.Control(s.once) != nil {
			return os.ErrClosed
		}
		return nil
	}
	if err := s.file.SetWriteDeadline(start.Add(*left)); err != nil {
		return err
	}
	return ended(s.raw.Write(s.ready))
}

func (s *Sender) try(fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.messages[0])),
			uintptr(len(s.messages)), 0, 0, 0)
		if s.errno = errno; errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			s.sent = int(n)
		}
		return
	}
}

// Control calls f with the descriptor, for socket options.
func (s *Sender) Control(f func(fd int)) error { return control(s.raw, f) }

// Close ends a Send that waits, and releases the socket.
func (s *Sender) Close() error { return s.file.Close() }

// Receiver receives. Not safe for concurrent use, but for Close and Control.
type Receiver struct {
	file *os.File
	raw  syscall.RawConn

	messages []Message
	received int
	errno    unix.Errno
	once     func(fd uintptr)
	ready    func(fd uintptr) bool
}

// NewReceiver adopts a non-blocking socket.
func NewReceiver(fd int, name string) (*Receiver, error) {
	file, raw, err := adopt(fd, name)
	if err != nil {
		return nil, err
	}
	r := &Receiver{file: file, raw: raw}
	r.once = func(fd uintptr) { r.try(fd) }
	r.ready = func(fd uintptr) bool { r.try(fd); return r.errno != unix.EAGAIN }
	return r, nil
}

// Receive fills messages with what is there, and returns how many it filled.
// When there is nothing it waits up to timeout for the first. The kernel
// changes lengths and flags in the headers: the caller sets them before each call.
func (r *Receiver) Receive(messages []Message, timeout time.Duration) (received int, err error) {
	r.messages, r.received = messages, 0
	if r.raw.Control(r.once) != nil {
		return 0, os.ErrClosed // the one reason there is
	}
	if r.errno == unix.EAGAIN && timeout > 0 {
		if err := r.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return 0, err
		}
		if err := ended(r.raw.Read(r.ready)); err != nil {
			return 0, err
		}
	}
	if r.errno != 0 && r.errno != unix.EAGAIN {
		return 0, r.errno
	}
	return r.received, nil
}

func (r *Receiver) try(fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.messages[0])),
			uintptr(len(r.messages)), unix.MSG_DONTWAIT, 0, 0)
		if r.errno = errno; errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			r.received = int(n)
		}
		return
	}
}

// Control calls f with the descriptor, for socket options.
func (r *Receiver) Control(f func(fd int)) error { return control(r.raw, f) }

// Close ends a Receive that waits, and releases the socket.
func (r *Receiver) Close() error { return r.file.Close() }

// ended returns nil for a wait whose time was over; else the file was closed,
// for which a raw connection's error is not os.ErrClosed.
func ended(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return os.ErrClosed
}

func adopt(fd int, name string) (*os.File, syscall.RawConn, error) {
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetDeadline(time.Time{}) // fails on a descriptor that would block
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("mmsg: adopting %s: %w", name, err)
	}
	return file, raw, nil
}

func control(raw syscall.RawConn, f func(fd int)) error {
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
