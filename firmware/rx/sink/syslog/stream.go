package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/cause"
)

// stream is a connection and what was written to it that is still in the queue.
type stream struct {
	tcp     *net.TCPConn
	conn    net.Conn     // tcp, or TLS over it
	written atomic.Int64 // bytes handed to the kernel
	marks   []mark
	lines   int // in marks
	bytes   int
	buf     []byte
}

// mark is a run of lines written together.
type mark struct {
	lines, unreadable int
	bytes             int
	end               int64 // stream.written after them
	at                time.Time
}

// counting is a stream's TCP connection, whose writes it bounds and counts: below TLS too, which
// also writes while it is read, to answer a KeyUpdate (RFC 8446 section 4.6.3).
type counting struct {
	*net.TCPConn
	written *atomic.Int64
}

// Write implements net.Conn.
func (c counting) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := c.TCPConn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// keepAlive ends a connection whose collector is gone within half a minute.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

func (s *Sink) dial(ctx context.Context) (*stream, error) {
	conn, err := (&net.Dialer{Timeout: dialTime, Control: dialControl}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	st := &stream{tcp: conn.(*net.TCPConn)}
	_ = st.tcp.SetKeepAliveConfig(keepAlive())
	st.conn = counting{st.tcp, &st.written}
	if s.tls == nil {
		return st, nil
	}
	secure := tls.Client(st.conn, s.tls)
	_ = conn.SetDeadline(time.Now().Add(dialTime))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, cause.Handshake(err)
	}
	_ = conn.SetDeadline(time.Time{})
	st.conn = secure
	return st, nil
}

// dialControl ends a connection whose peer acknowledges nothing (tcp(7)).
func dialControl(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTime.Milliseconds()))
	})
}

var errPeerClosed = errors.New("closed the connection")

// forwardStream forwards over TCP or TLS until ctx ends or the connection breaks.
func (s *Sink) forwardStream(ctx context.Context) error {
	st, err := s.dial(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() { // a collector sends nothing; the end of its stream means that it is gone
		defer close(watched)
		_, _ = io.Copy(io.Discard, st.conn)
		cancel(errPeerClosed)
	}()
	defer func() { cancel(nil); st.tcp.Close(); <-watched }()
	defer context.AfterFunc(inner, func() { st.tcp.Close() })()
	s.setUp()
	for {
		err := s.step(inner, st)
		if err != nil {
			for _, m := range st.marks {
				s.stats.Resent.Add(uint64(m.lines - m.unreadable))
			}
			if errors.Is(context.Cause(inner), errPeerClosed) {
				return errPeerClosed
			}
			return err
		}
	}
}

// step writes what is new and takes off the queue what is acknowledged.
func (s *Sink) step(ctx context.Context, st *stream) error {
	recs, err := s.queue.Next(ctx, window)
	if err != nil {
		return err
	}
	if fresh := recs[min(st.lines, len(recs)):]; len(fresh) > 0 {
		if err := s.write(st, fresh); err != nil {
			return err
		}
	}
	n, unreadable, err := st.acknowledged(time.Now())
	if err != nil {
		return err
	}
	if n > 0 {
		s.done(n, unreadable)
		return nil
	}
	select { // everything there is was written; Next would return it at once
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Millisecond):
		return nil
	}
}

// write writes a run of lines with octet counting (RFC 6587 §3.4.1).
func (s *Sink) write(st *stream, recs [][]byte) error {
	st.buf = st.buf[:0]
	n, unreadable := 0, 0
	for ; n < len(recs) && len(st.buf) < windowBytes/4; n++ {
		line := text(recs[n])
		if len(line) == 0 {
			unreadable++
			continue
		}
		st.buf = strconv.AppendInt(st.buf, int64(len(line)), 10)
		st.buf = append(append(st.buf, ' '), line...)
	}
	st.marks = append(st.marks, mark{lines: n, unreadable: unreadable, bytes: len(st.buf), at: time.Now()})
	st.lines += n
	st.bytes += len(st.buf)
	_, err := st.conn.Write(st.buf)
	st.marks[len(st.marks)-1].end = st.written.Load()
	return err
}

// acknowledged removes the marks of lines that the collector's kernel has had for
// linger; while much is on its way they need not linger.
func (st *stream) acknowledged(now time.Time) (lines, unreadable int, err error) {
	raw, err := st.tcp.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	written := st.written.Load() // before the queue: TLS may write meanwhile
	var queued int
	var failed error
	if err := raw.Control(func(fd uintptr) { queued, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, 0, err
	}
	if failed != nil {
		return 0, 0, failed
	}
	done := 0
	for _, m := range st.marks {
		full := st.bytes >= windowBytes || st.lines >= window/2
		if m.end > written-int64(queued) || !full && now.Sub(m.at) < linger {
			break
		}
		lines += m.lines
		unreadable += m.unreadable
		st.lines -= m.lines
		st.bytes -= m.bytes
		done++
	}
	st.marks = append(st.marks[:0], st.marks[done:]...)
	return lines, unreadable, nil
}
