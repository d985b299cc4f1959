package syslog

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// forwardDatagrams forwards over UDP until ctx ends or a datagram cannot be sent.
func (s *Sink) forwardDatagrams(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "udp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.setUp()
	for {
		recs, err := s.queue.Next(ctx, 64)
		if err != nil {
			return err
		}
		n, unreadable, err := s.sendDatagrams(conn, recs)
		s.done(n, unreadable)
		if err != nil {
			return err
		}
	}
}

// sendDatagrams writes records as datagrams and returns how many it is done with, and
// how many of them were unreadable.
func (s *Sink) sendDatagrams(conn net.Conn, recs [][]byte) (n, unreadable int, err error) {
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
