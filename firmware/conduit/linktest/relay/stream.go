package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/conduit/linktest"
)

const (
	// streamStep is how much of the line's time one transfer takes: what the
	// far end does not take within it is lost, so that the pace holds.
	streamStep = 5 * time.Millisecond
	streamRoom = 4096
	streamLag  = 20 * time.Millisecond // lateness that is made good again
	closedWait = 20 * time.Millisecond // before looking at a closed pty again
)

// stream is one running Stream.
type stream struct {
	from           io.Reader
	to             io.Writer
	link           *linktest.Link
	bytesPerSecond int
	due            time.Time
	err            error // of to, which ends the relay
}

// Stream relays bytes until ctx or the input ends, at no more than
// bytesPerSecond (0: as they come). It is meant for the far sides of two pseudo
// terminals: one whose other side is closed (EIO) is a line without a signal,
// not an error. An end without deadlines blocks as long as it likes, and is
// closed when ctx ends, if it has a Close.
func Stream(ctx context.Context, from io.Reader, to io.Writer, link *linktest.Link, bytesPerSecond int) error {
	from, closeFrom, err := pollable(from)
	if err != nil {
		return err
	}
	defer closeFrom()
	to, closeTo, err := pollable(to)
	if err != nil {
		return err
	}
	defer closeTo()
	stop := context.AfterFunc(ctx, func() { unblock(from, to) })
	defer stop()
	s := &stream{from: from, to: to, link: link, bytesPerSecond: bytesPerSecond}
	return s.run(ctx)
}

func (s *stream) run(ctx context.Context) error {
	size := streamRoom
	if s.bytesPerSecond > 0 {
		size = min(size, max(1, s.bytesPerSecond*int(streamStep/time.Millisecond)/1000))
	}
	buffer := make([]byte, size)
	for ctx.Err() == nil {
		n, err := s.from.Read(buffer)
		if n > 0 {
			s.link.Bytes(buffer[:n], s.forward)
			s.pace(ctx, n)
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case s.err != nil:
			return fmt.Errorf("relay: writing: %w", s.err)
		case errors.Is(err, syscall.EIO):
			wait(ctx, closedWait)
		case err != nil:
			return fmt.Errorf("relay: reading: %w", err)
		}
	}
	return nil
}

func (s *stream) forward(b []byte) {
	d, ok := s.to.(writeDeadline)
	if !ok {
		d = noDeadline{}
	}
	n, err := twice(d, streamStep, len(b), func(done int) (int, error) { return s.to.Write(b[done:]) })
	s.link.CountUnsent(len(b) - n)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.EIO) {
		s.err = err
	}
}

// pace waits until n more bytes have left a line of this rate.
func (s *stream) pace(ctx context.Context, n int) {
	if s.bytesPerSecond <= 0 {
		return
	}
	now := time.Now()
	if s.due.Before(now.Add(-streamLag)) {
		s.due = now
	}
	s.due = s.due.Add(time.Duration(n) * time.Second / time.Duration(s.bytesPerSecond))
	wait(ctx, s.due.Sub(now))
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

type readDeadline interface{ SetReadDeadline(time.Time) error }

type writeDeadline interface{ SetWriteDeadline(time.Time) error }

// noDeadline is that of a writer which has none: it blocks, as Stream says.
type noDeadline struct{}

func (noDeadline) SetWriteDeadline(time.Time) error { return nil }

// twice writes size items within a time, and then the rest within as much again: a time
// that is over before the first attempt, because the machine ran other programs, attempts
// nothing. write gets how many are done.
func twice(to writeDeadline, within time.Duration, size int, write func(done int) (int, error)) (done int, err error) {
	for range 2 {
		_ = to.SetWriteDeadline(time.Now().Add(within)) // what has none blocks
		var n int
		n, err = write(done)
		if done += max(n, 0); done == size || !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return done, err
}

// pollable returns a file's duplicate that honours deadlines: a file whose
// descriptor was once asked for (File.Fd), as of a new pseudo terminal, does not.
func pollable[E any](end E) (E, func(), error) {
	f, ok := any(end).(*os.File)
	if !ok {
		return end, func() {}, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return end, nil, fmt.Errorf("relay: opening %s again: %w", f.Name(), err)
	}
	var fd int
	var failed error
	err = raw.Control(func(old uintptr) {
		if fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); failed == nil {
			failed = unix.SetNonblock(fd, true)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return end, nil, fmt.Errorf("relay: opening %s again: %w", f.Name(), err)
	}
	again := os.NewFile(uintptr(fd), f.Name())
	return any(again).(E), func() { _ = again.Close() }, nil
}

// unblock ends transfers that wait: by a deadline, else by closing.
func unblock(from io.Reader, to io.Writer) {
	if d, ok := from.(readDeadline); !ok || d.SetReadDeadline(time.Unix(1, 0)) != nil {
		closeIfPossible(from)
	}
	if _, ok := to.(writeDeadline); !ok {
		closeIfPossible(to)
	}
}

func closeIfPossible(end any) {
	if c, ok := end.(io.Closer); ok {
		_ = c.Close()
	}
}
