package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/fairshare"
)

// peer is a sender's connection. Its reads end at a deadline that depends on
// whether a message is under way.
type peer struct {
	net.Conn
	address  netip.Addr
	table    *fairshare.Table[*peer]
	deadline time.Time                 // of the message; zero between messages
	evicted  atomic.Pointer[time.Time] // when reading and writing end at last; nil: it need not make room
}

const tcpEstablished = 1 // linux/tcp_states.h; the others but listening ones have seen FIN or RST

var errEvicted = errors.New("closed to make room for a new connection")

// Read implements net.Conn.
func (p *peer) Read(b []byte) (int, error) {
	deadline := p.deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(idleTime)
	}
	if end := p.evicted.Load(); end != nil {
		deadline = *end
	}
	if err := p.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := p.Conn.Read(b)
	if n > 0 {
		p.table.Touch(p, time.Now())
	}
	if err != nil && p.evicted.Load() != nil {
		err = errEvicted // not io.EOF: a line that ends here may be cut
	}
	return n, err
}

// Write implements net.Conn. TLS writes while it is read, too: it answers a KeyUpdate (RFC 8446
// section 4.6.3), which a sender that reads nothing must not hold up for ever.
func (p *peer) Write(b []byte) (int, error) {
	deadline := time.Now().Add(writeTime)
	if !p.deadline.IsZero() && p.deadline.Before(deadline) {
		deadline = p.deadline
	}
	if err := p.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	if end := p.evicted.Load(); end != nil { // after the deadline was set, so that makeRoom has the last word
		if err := p.SetWriteDeadline(*end); err != nil {
			return 0, err
		}
	}
	return p.Conn.Write(b)
}

// makeRoom ends a connection. What the kernel has of it can be read until end.
func (p *peer) makeRoom(end time.Time) {
	p.evicted.Store(&end)
	_ = p.SetWriteDeadline(end) // wakes a write that waits
	if c, ok := p.Conn.(*net.TCPConn); ok {
		_ = c.CloseRead() // wakes a read that waits
	}
}

// serveConn reads messages until the connection ends.
func (s *Source) serveConn(ctx context.Context, l *listener, p *peer) {
	var conn net.Conn = p
	if l.tls != nil {
		secure := tls.Server(p, l.tls)
		p.deadline = time.Now().Add(handshakeTime)
		if err := secure.HandshakeContext(ctx); err != nil {
			s.stats.Handshakes.Add(1)
			return
		}
		conn = secure
	}
	f := &framer{r: bufio.NewReaderSize(conn, 8<<10)}
	f.begin = func(started bool) {
		p.deadline = time.Time{}
		if started {
			p.deadline = time.Now().Add(messageTime)
		}
	}
	c := newClassifier()
	for {
		text, truncated, err := f.next()
		if err != nil {
			s.countEnd(p, err)
			return
		}
		s.putLine(c, l.transport, p.address, text, truncated)
	}
}

// unread reports whether the sender's side of the stream goes on, and whether it holds
// bytes that were not read.
func (p *peer) unread() (open, holds bool) {
	c, ok := p.Conn.(*net.TCPConn)
	if !ok {
		return true, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true, false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		open = err != nil || info.State == tcpEstablished
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		holds = err == nil && n > 0
	})
	return open || err != nil, holds
}

// countEvicted counts what it cost that a connection made room, beside a line that was cut.
func (s *Source) countEvicted(p *peer) {
	if p.evicted.Load() == nil {
		return
	}
	open, holds := p.unread()
	if open || holds {
		s.stats.Evicted.Add(1)
	}
	if holds && p.deadline.IsZero() {
		s.port.Missed(1, missedEvicted)
	}
}

// countEnd counts what a connection's end cost.
func (s *Source) countEnd(p *peer, err error) {
	within := !p.deadline.IsZero()
	switch {
	case errors.Is(err, errOverlong):
		s.stats.Overlong.Add(1)
		s.port.Missed(1, missedOverlong)
	case errors.Is(err, os.ErrDeadlineExceeded) && within:
		s.stats.Slow.Add(1)
		s.port.Missed(1, missedSlow)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.stats.Idle.Add(1)
	case within && err != io.EOF:
		s.stats.Cut.Add(1)
		s.port.Missed(1, missedCut)
	}
}
