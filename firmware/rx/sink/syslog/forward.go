package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func (s *Sink) forwardDatagrams(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "udp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.connected()
	for {
		recs, err := s.queue.Next(ctx, 64)
		if err != nil {
			return err
		}
		n, unreadable, err := s.send(conn, recs)
		s.done(n, unreadable)
		if err != nil {
			return err
		}
	}
}

// send writes records as datagrams and returns how many it is done with, and how
// many of them were unreadable.
func (s *Sink) send(conn net.Conn, recs [][]byte) (n, unreadable int, err error) {
	for _, rec := range recs {
		line := text(rec)
		if len(line) == 0 {
			n, unreadable = n+1, unreadable+1
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := conn.Write(line[:min(len(line), maxDatagram)]); err != nil {
			if errors.Is(err, unix.ECONNREFUSED) { // udp(7): of an earlier datagram
				s.refuse(&s.stats.Unreached, 1)
			}
			return n, unreadable, err
		}
		if len(line) > maxDatagram {
			s.stats.Truncated.Add(1)
		}
		n++
	}
	return n, unreadable, nil
}

// stream is a connection and what was written to it and not given up yet.
type stream struct {
	tcp     *net.TCPConn
	w       io.Writer // tcp, or TLS over it
	written int64     // bytes handed to the kernel
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

// Write counts what TLS writes.
func (st *stream) Write(b []byte) (int, error) {
	n, err := st.tcp.Write(b)
	st.written += int64(n)
	return n, err
}

func (s *Sink) dial(ctx context.Context) (*stream, func(), io.Reader, error) {
	conn, err := (&net.Dialer{Timeout: dialTime, Control: dialControl}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, nil, nil, err
	}
	st := &stream{tcp: conn.(*net.TCPConn)}
	_ = st.tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	if s.tls == nil {
		st.w = st
		return st, func() { conn.Close() }, conn, nil
	}
	secure := tls.Client(counting{st.tcp, st}, s.tls)
	_ = conn.SetDeadline(time.Now().Add(dialTime))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	st.w = secure
	return st, func() { conn.Close() }, secure, nil
}

// counting is a connection that writes through the stream's count.
type counting struct {
	*net.TCPConn
	st *stream
}

func (c counting) Write(b []byte) (int, error) { return c.st.Write(b) }

// dialControl ends a connection whose peer acknowledges nothing (tcp(7)).
func dialControl(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTime.Milliseconds()))
	})
}

var errPeerClosed = errors.New("closed the connection")

func (s *Sink) forwardStream(ctx context.Context) error {
	st, hangUp, r, err := s.dial(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() { // a collector sends nothing; its end of the stream tells that it is gone
		defer close(watched)
		_, _ = io.Copy(io.Discard, r)
		cancel(errPeerClosed)
	}()
	defer func() { cancel(nil); hangUp(); <-watched }()
	defer context.AfterFunc(inner, hangUp)()
	s.connected()
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

// step writes what is new and gives up what is acknowledged.
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
	_ = st.tcp.SetWriteDeadline(time.Now().Add(writeTime))
	st.marks = append(st.marks, mark{lines: n, unreadable: unreadable, bytes: len(st.buf), at: time.Now()})
	st.lines += n
	st.bytes += len(st.buf)
	_, err := st.w.Write(st.buf)
	st.marks[len(st.marks)-1].end = st.written
	return err
}

// acknowledged takes the lines off that the peer's kernel has and that have
// lingered; while much is on its way they need not linger.
func (st *stream) acknowledged(now time.Time) (lines, unreadable int, err error) {
	raw, err := st.tcp.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
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
		if m.end > st.written-int64(queued) || !full && now.Sub(m.at) < linger {
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
