// Package relay puts an impaired link between two programs: datagrams between
// two UDP ports (UDP), or the bytes between two pseudo terminals (Stream).
//
// A relay forwards one way only. Like a real line it never pushes back: what
// the far end does not take is lost and counted (linktest.Counters.Unsent), and
// the near end does not notice. It refuses to hold more than a batch.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"heliograph/drivers/udp/mmsg"
	"heliograph/firmware/conduit/linktest"

	"golang.org/x/net/ipv4"
)

// Our own choices.
const (
	batch        = 64
	room         = 2048 // bytes: one datagram of a 1500 MTU, and more than that
	idle         = 20 * time.Millisecond
	writeWait    = 20 * time.Millisecond
	socketBuffer = 32 << 20 // asked for; without CAP_NET_ADMIN the kernel gives what it allows
)

// Datagrams relays between two IPv4 addresses.
type Datagrams struct {
	link    *linktest.Link
	in, out *net.UDPConn
	reader  *ipv4.PacketConn
	writer  *ipv4.PacketConn
	read    []ipv4.Message
	write   []ipv4.Message
	waiting int // messages in write
}

// UDP relays datagrams from one host:port to another until ctx ends.
func UDP(ctx context.Context, listen, forward string, link *linktest.Link) error {
	d, err := NewUDP(listen, forward, link)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// NewUDP is UDP in two steps: once it returns, nothing that is sent is missed.
func NewUDP(listen, forward string, link *linktest.Link) (*Datagrams, error) {
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
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero}) // not connected: receives no ICMP errors
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("relay: opening a socket to forward from: %w", err)
	}
	if err := errors.Join(receiveBuffer(in), out.SetWriteBuffer(socketBuffer)); err != nil {
		return nil, errors.Join(fmt.Errorf("relay: %w", err), in.Close(), out.Close())
	}
	d := &Datagrams{
		link: link, in: in, out: out, reader: ipv4.NewPacketConn(in), writer: ipv4.NewPacketConn(out),
		read: make([]ipv4.Message, batch), write: make([]ipv4.Message, batch),
	}
	for i := range batch {
		d.read[i].Buffers = [][]byte{make([]byte, room)}
		d.write[i].Buffers = [][]byte{make([]byte, 0, room)}
		d.write[i].Addr = to
	}
	return d, nil
}

// Address is where the relay listens.
func (d *Datagrams) Address() string { return d.in.LocalAddr().String() }

// receiveBuffer makes a socket hold what arrives while a busy machine does not run the
// relay: what it drops is not on the account of the impaired link.
func receiveBuffer(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { _, failed = mmsg.ReceiveBuffer(int(fd), socketBuffer) })
	return errors.Join(err, failed)
}

// Run relays until ctx ends, and releases the sockets. A datagram too long for
// any link counts as unsent.
func (d *Datagrams) Run(ctx context.Context) error {
	defer func() { _, _ = d.in.Close(), d.out.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = d.in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		if err := d.in.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return fmt.Errorf("relay: setting a deadline: %w", err)
		}
		n, err := d.reader.ReadBatch(d.read, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			d.link.Flush(d.forward)
		} else if err != nil {
			return fmt.Errorf("relay: receiving at %s: %w", d.Address(), err)
		}
		for i := range max(n, 0) {
			m := &d.read[i]
			if m.N == room {
				d.link.CountUnsent(1)
				continue
			}
			d.link.Datagram(m.Buffers[0][:m.N], d.forward)
		}
		d.flush()
	}
	return nil
}

// forward copies what the link delivers into the batch that leaves next.
func (d *Datagrams) forward(b []byte) {
	if d.waiting == batch {
		d.flush()
	}
	buffer := &d.write[d.waiting].Buffers[0]
	*buffer = append((*buffer)[:0], b...)
	d.waiting++
}

// flush sends the batch; what the far end does not take counts as unsent.
func (d *Datagrams) flush() {
	messages := d.write[:d.waiting]
	d.waiting = 0
	for len(messages) > 0 {
		n, err := twice(d.out, writeWait, len(messages), func(done int) (int, error) {
			return d.writer.WriteBatch(messages[done:], 0)
		})
		messages = messages[n:]
		if err != nil {
			d.link.CountUnsent(len(messages))
			return
		}
	}
}
