package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"heliograph/firmware/conduit/linktest"
)

const (
	streamRoom = 4096
	// streamWait is how long a chunk may wait for a far end that does not read:
	// short enough to drain the near end at any baud rate meanwhile.
	streamWait = 5 * time.Millisecond
	closedWait = 20 * time.Millisecond // before looking at a closed pty again
)

// Stream relays bytes, for example between the far sides of two pseudo
// terminals.
type Stream struct {
	to     io.Writer
	from   io.Reader
	link   *linktest.Link
	unsent atomic.Uint64
	err    error // of to, which ends the relay
}

// NewStream returns a relay. Where the ends have deadlines, as files of pseudo
// terminals and connections do, they are used; an end without blocks as long
// as it likes, and is closed when Run's context ends, if it has a Close.
func NewStream(to io.Writer, from io.Reader, link *linktest.Link) *Stream {
	neverBlock(to)
	neverBlock(from)
	return &Stream{to: to, from: from, link: link}
}

// neverBlock restores what makes a file's deadlines work: whoever once asked it
// for its Fd, as the pty package does, has made it block.
func neverBlock(end any) {
	f, ok := end.(*os.File)
	if !ok || f.SetDeadline(time.Time{}) != nil {
		return
	}
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) })
	}
}

// Unsent counts the bytes that the far end did not take in time.
func (s *Stream) Unsent() uint64 { return s.unsent.Load() }

// Run relays until ctx or the input ends. A pseudo terminal whose other side
// is closed (EIO) is a line without a signal, not an error.
func (s *Stream) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		unblock(s.from, func(d readDeadline) error { return d.SetReadDeadline(time.Unix(1, 0)) })
		if _, ok := s.to.(writeDeadline); !ok {
			unblock(s.to, func(writeDeadline) error { return nil })
		}
	})
	defer stop()
	buffer := make([]byte, streamRoom)
	for ctx.Err() == nil {
		n, err := s.from.Read(buffer)
		if n > 0 {
			s.link.Bytes(buffer[:n], s.forward)
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case s.err != nil:
			return fmt.Errorf("relay: writing: %w", s.err)
		case errors.Is(err, syscall.EIO):
			select {
			case <-ctx.Done():
			case <-time.After(closedWait):
			}
		case err != nil:
			return fmt.Errorf("relay: reading: %w", err)
		}
	}
	return nil
}

func (s *Stream) forward(b []byte) {
	if d, ok := s.to.(writeDeadline); ok {
		_ = d.SetWriteDeadline(time.Now().Add(streamWait)) // without one it blocks, as NewStream says
	}
	n, err := s.to.Write(b)
	s.unsent.Add(uint64(len(b) - n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.EIO) {
		s.err = err
	}
}

type readDeadline interface{ SetReadDeadline(time.Time) error }

type writeDeadline interface{ SetWriteDeadline(time.Time) error }

// unblock ends a transfer that waits: by a deadline, else by closing.
func unblock[D any](end any, expire func(D) error) {
	if d, ok := end.(D); ok && expire(d) == nil {
		return
	}
	if c, ok := end.(io.Closer); ok {
		_ = c.Close()
	}
}
