// Package relay puts an impaired link between two programs: datagrams between
// two UDP ports, or the bytes between two pseudo terminals.
//
// A relay forwards one way only. Like a real line it never pushes back: what
// the far end does not take is lost and counted, and the near end does not
// notice. It refuses to hold more than a batch.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/linktest"

	"golang.org/x/net/ipv4"
)

// Our own choices.
const (
	batch      = 64
	room       = 2048 // bytes: one datagram of a 1500 MTU, and more than that
	idle       = 20 * time.Millisecond
	writeWait  = 20 * time.Millisecond
	sockBuffer = 8 << 20 // asked for; the kernel gives what it allows
)

// UDP relays datagrams between IPv4 addresses.
type UDP struct {
	link     *linktest.Link
	in, out  *net.UDPConn
	reader   *ipv4.PacketConn
	writer   *ipv4.PacketConn
	to       *net.UDPAddr
	read     []ipv4.Message
	write    []ipv4.Message
	waiting  int // messages in write
	oversize atomic.Uint64
	unsent   atomic.Uint64
}

// NewUDP returns a relay that listens on one host:port and forwards to another.
func NewUDP(listen, forward string, link *linktest.Link) (*UDP, error) {
	at, err := net.ResolveUDPAddr("udp4", listen)
	if err != nil {
		return nil, fmt.Errorf("relay: listening on %s: %w", listen, err)
	}
	to, err := net.ResolveUDPAddr("udp4", forward)
	if err != nil {
		return nil, fmt.Errorf("relay: forwarding to %s: %w", forward, err)
	}
	in, err := net.ListenUDP("udp4", at)
	if err != nil {
		return nil, fmt.Errorf("relay: listening on %s: %w", listen, err)
	}
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero}) // not connected: hears no ICMP
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("relay: opening a socket to forward from: %w", err)
	}
	_, _ = in.SetReadBuffer(sockBuffer), out.SetWriteBuffer(sockBuffer)
	u := &UDP{
		link: link, in: in, out: out, to: to, reader: ipv4.NewPacketConn(in), writer: ipv4.NewPacketConn(out),
		read: make([]ipv4.Message, batch), write: make([]ipv4.Message, batch),
	}
	for i := range batch {
		u.read[i].Buffers = [][]byte{make([]byte, room)}
		u.write[i].Buffers = [][]byte{make([]byte, 0, room)}
		u.write[i].Addr = to
	}
	return u, nil
}

// Address is where the relay listens.
func (u *UDP) Address() string { return u.in.LocalAddr().String() }

// Oversize counts datagrams that were too long to relay.
func (u *UDP) Oversize() uint64 { return u.oversize.Load() }

// Unsent counts datagrams that this machine's kernel did not take.
func (u *UDP) Unsent() uint64 { return u.unsent.Load() }

// Run relays until ctx ends, and releases the sockets.
func (u *UDP) Run(ctx context.Context) error {
	defer func() { _, _ = u.in.Close(), u.out.Close() }()
	for ctx.Err() == nil {
		if err := u.in.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return fmt.Errorf("relay: setting a deadline: %w", err)
		}
		n, err := u.reader.ReadBatch(u.read, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			u.link.Flush(u.forward)
		} else if err != nil {
			return fmt.Errorf("relay: receiving at %s: %w", u.Address(), err)
		}
		for i := range max(n, 0) {
			m := &u.read[i]
			if m.N == room {
				u.oversize.Add(1)
				continue
			}
			u.link.Datagram(m.Buffers[0][:m.N], u.forward)
		}
		if err := u.flush(); err != nil {
			return err
		}
	}
	return nil
}

// forward copies what the link delivers into the batch that leaves next.
func (u *UDP) forward(b []byte) {
	if u.waiting == batch {
		_ = u.flush() // an error comes back with the next one
	}
	buffer := &u.write[u.waiting].Buffers[0]
	*buffer = append((*buffer)[:0], b...)
	u.waiting++
}

func (u *UDP) flush() error {
	messages := u.write[:u.waiting]
	u.waiting = 0
	if len(messages) == 0 {
		return nil
	}
	if err := u.out.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return fmt.Errorf("relay: setting a deadline: %w", err)
	}
	for len(messages) > 0 {
		n, err := u.writer.WriteBatch(messages, 0)
		if err != nil {
			u.unsent.Add(uint64(len(messages) - max(n, 0)))
			return nil
		}
		messages = messages[n:]
	}
	return nil
}
