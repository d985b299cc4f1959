package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	payload "heliograph/firmware/payload/syslog"
)

func (s *Source) serveUDP(ctx context.Context, l *listener) error {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
			}
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
		})
	}}
	p, err := lc.ListenPacket(ctx, "udp", l.address)
	if err != nil {
		return err
	}
	conn := p.(*net.UDPConn)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s.bound(l, "")
	c := newClassifier()
	buf, oob := make([]byte, 64<<10), make([]byte, 64)
	var drops uint32
	for {
		n, m, _, from, err := conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return err
		}
		if total, ok := overflow(oob[:m]); ok {
			s.kernelDrops.Add(uint64(total - drops))
			drops = total
		}
		if n == 0 {
			s.refuse(Empty)
			continue
		}
		s.put(c, payload.UDP, from.Addr().Unmap(), buf[:n], false)
	}
}

// overflow finds the kernel's count of dropped datagrams (socket(7), SO_RXQ_OVFL).
func overflow(oob []byte) (uint32, bool) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0, false
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4 {
			return binary.NativeEndian.Uint32(data), true
		}
		oob = rest
	}
	return 0, false
}

func (s *Source) serveStream(ctx context.Context, l *listener) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	s.bound(l, "")
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		addr := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !s.enter(addr) {
			s.refuse(TooManyConnections)
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer s.leave(addr)
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			s.serveConn(ctx, l, conn, addr)
		})
	}
}

func (s *Source) enter(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= maxConnections || s.byAddr[addr] >= maxPerAddress {
		return false
	}
	s.total++
	s.byAddr[addr]++
	return true
}

func (s *Source) leave(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.byAddr[addr]--; s.byAddr[addr] == 0 {
		delete(s.byAddr, addr)
	}
}

// timed is a connection whose reads end at a deadline that depends on whether
// a message is under way.
type timed struct {
	net.Conn
	deadline time.Time // of the message; zero between messages
}

func (t *timed) Read(b []byte) (int, error) {
	deadline := t.deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(idleTime)
	}
	if err := t.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return t.Conn.Read(b)
}

func (s *Source) serveConn(ctx context.Context, l *listener, conn net.Conn, addr netip.Addr) {
	if l.tls != nil {
		secure := tls.Server(conn, l.tls)
		_ = conn.SetDeadline(time.Now().Add(handshakeTime))
		if err := secure.HandshakeContext(ctx); err != nil {
			s.refuse(Handshake)
			return
		}
		_ = conn.SetDeadline(time.Time{})
		conn = secure
	}
	t := &timed{Conn: conn}
	f := &framer{r: bufio.NewReaderSize(t, 8<<10)}
	f.begin = func(started bool) {
		t.deadline = time.Time{}
		if started {
			t.deadline = time.Now().Add(messageTime)
		}
	}
	c := newClassifier()
	for {
		text, truncated, err := f.next()
		switch {
		case err == nil:
			s.put(c, l.transport, addr, text, truncated)
			continue
		case errors.Is(err, errBadCount):
			s.refuse(BadCount)
		case errors.Is(err, errEndless):
			s.refuse(Endless)
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.refuse(Slow)
		}
		return
	}
}
