package syslog

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"heliograph/drivers/udp/mmsg"
	payload "heliograph/firmware/conduit/payload/syslog"
)

// serveUDP receives datagrams until ctx ends or the socket breaks.
func (s *Source) serveUDP(ctx context.Context, l *listener) error {
	room := 0
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { room, err = mmsg.ReceiveBuffer(int(fd), receiveBuffer) })
		if failed != nil {
			return failed
		}
		return err
	}}
	p, err := lc.ListenPacket(ctx, "udp", l.address)
	if err != nil {
		return err
	}
	conn := p.(*net.UDPConn)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := l.drops.follow(conn); err != nil {
		return err
	}
	defer l.drops.count()
	if room < receiveBuffer {
		s.log.Warn("small receive buffer: raise net.core.rmem_max or run with CAP_NET_ADMIN",
			"listen", l.text, "bytes", room, "wanted", receiveBuffer)
	}
	s.setFault(l, nil)
	c := newClassifier()
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if n == 0 {
			s.stats.Empty.Add(1)
			continue
		}
		s.putLine(c, payload.UDP, from.Addr().Unmap(), buf[:n], false)
	}
}

// listenTCP opens a listener. Package net asks for a backlog of net.core.somaxconn,
// the longest accept queue that the kernel allows, and by default for Multipath
// TCP, whose sockets do not count what they dropped.
func listenTCP(ctx context.Context, address string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// serveStream accepts connections until ctx ends or the listener breaks.
func (s *Source) serveStream(ctx context.Context, l *listener) error {
	ln, err := listenTCP(ctx, l.address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	if err := l.drops.follow(ln); err != nil {
		return err
	}
	defer l.drops.count()
	s.setFault(l, nil)
	for {
		select { // an evicted connection ends within evictTime, so there is room soon
		case s.serving <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		conn, err := ln.Accept()
		if err != nil {
			<-s.serving
			return err
		}
		p := &peer{Conn: conn, address: conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), table: s.open}
		if evicted, full := s.open.Add(p, p.address, time.Now()); full {
			evicted.makeRoom(time.Now().Add(evictTime))
			s.warnEvicted(evicted)
		}
		wg.Go(func() {
			defer func() { <-s.serving }()
			defer conn.Close()
			defer s.open.Remove(p)
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			s.serveConn(ctx, l, p)
			s.countEvicted(p)
		})
	}
}

// warnEvicted logs that a connection made room, once a minute at most.
func (s *Source) warnEvicted(p *peer) {
	s.mu.Lock()
	now := time.Now()
	due := now.Sub(s.warned) >= evictLogEvery
	if due {
		s.warned = now
	}
	s.mu.Unlock()
	if due {
		s.log.Warn("connection closed to make room for a new one",
			"address", p.address, "limit", maxConnections, "evicted", s.open.Evicted())
	}
}
