package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"heliograph/firmware/mqtt/broker"
)

// client is one connection: a goroutine that reads and one that writes.
type client struct {
	server  *Server
	address netip.Addr
	since   time.Time // that it is connected
	conn    net.Conn
	raw     net.Conn     // below TLS
	peer    *broker.Conn // under the server's lock
	signal  chan struct{}
	buffer  net.Buffers
	part    net.Buffers
	body    []byte

	mu     sync.Mutex // over deadlines
	ending bool
}

// wake is the notify of broker.Accept.
func (k *client) wake(ending bool) {
	if ending {
		k.mu.Lock()
		if !k.ending {
			k.ending = true
			_ = k.raw.SetReadDeadline(time.Unix(1, 0))
			_ = k.raw.SetWriteDeadline(time.Now().Add(byeTime))
		}
		k.mu.Unlock()
	}
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// deadline sets one, unless the connection is about to end.
func (k *client) deadline(set func(time.Time) error, wait time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending {
		return
	}
	at := time.Time{}
	if wait > 0 {
		at = time.Now().Add(wait)
	}
	_ = set(at)
}

// serve serves the client until its connection ends.
func (k *client) serve() {
	s := k.server
	defer s.all.Done()
	written := make(chan struct{})
	go func() {
		defer close(written)
		k.write()
	}()
	if !k.read() { // it broke: nothing more can be written
		k.raw.Close()
		k.detach()
	}
	k.wake(true)
	<-written
	k.detach()
	s.mu.Lock()
	delete(s.clients, k)
	s.mu.Unlock()
	s.table.Remove(k)
}

// detach closes the connection of the broker, which ends write, too.
func (k *client) detach() {
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	k.peer.Close(time.Now())
}

// write writes what the broker has for the client.
func (k *client) write() {
	defer k.raw.Close()
	s := k.server
	for {
		s.mu.Lock()
		out := k.peer.Next(time.Now())
		k.buffer = append(k.buffer[:0], out.Segments...)
		s.mu.Unlock()
		if len(k.buffer) > 0 {
			if k.writeParts(k.buffer) != nil {
				return
			}
		}
		if out.End {
			if secure, ok := k.conn.(*tls.Conn); ok {
				_ = secure.CloseWrite()
			}
			return
		}
		switch {
		case !out.Again:
			<-k.signal
		case len(out.Segments) == 0:
			time.Sleep(scanPause) // a scan of retained messages leaves time for others
		}
	}
}

// writeParts writes segments as long as parts of them go out: a message may be large, and its line slow.
func (k *client) writeParts(rest net.Buffers) error {
	for len(rest) > 0 {
		k.part = k.part[:0]
		for size := 0; len(rest) > 0 && size < writeBytes; {
			n := min(len(rest[0]), writeBytes-size)
			k.part = append(k.part, rest[0][:n])
			size += n
			if rest[0] = rest[0][n:]; len(rest[0]) == 0 {
				rest[0] = nil // the client's buffer must not keep what was written
				rest = rest[1:]
			}
		}
		k.deadline(k.raw.SetWriteDeadline, writeTime)
		part := k.part
		if _, err := part.WriteTo(k.conn); err != nil {
			return err
		}
		k.server.table.Touch(k, time.Now())
	}
	return nil
}

// below is the connection below TLS, which also writes while it is read, to answer a KeyUpdate
// (RFC 8446 section 4.6.3).
type below struct {
	net.Conn
	client *client
}

// Write implements net.Conn.
func (b below) Write(p []byte) (int, error) {
	b.client.deadline(b.SetWriteDeadline, writeTime)
	return b.Conn.Write(p)
}

// read hands the client's packets to the broker. It returns false when the
// connection broke, and true when the broker ends it.
func (k *client) read() bool {
	k.deadline(k.raw.SetReadDeadline, connectTime)
	if secure, ok := k.conn.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(context.Background(), connectTime)
		defer cancel()
		if secure.HandshakeContext(ctx) != nil {
			return false
		}
	}
	r := bufio.NewReaderSize(k.conn, 4<<10)
	if first, err := r.Peek(1); err == nil && first[0] != broker.ConnectHeader {
		return k.fail(broker.ProtocolError)
	}
	header, body, err := k.packet(r)
	if err != nil {
		return k.fail(err)
	}
	p, err := broker.DecodeConnect(header, body)
	if err != nil {
		return k.fail(err)
	}
	s := k.server
	supported := p.Version == 4 || p.Version == 5 // others are refused unasked
	authorized := s.cfg.Verify == nil || supported && s.cfg.Verify(p.Username, p.Password, k.address)
	s.mu.Lock()
	k.peer.Connect(time.Now(), p, authorized)
	wait := k.peer.ReadTime()
	s.mu.Unlock()
	for {
		if r.Buffered() == 0 {
			k.deadline(k.raw.SetReadDeadline, wait)
		}
		if header, body, err = k.packet(r); err != nil {
			return k.fail(err)
		}
		now := time.Now()
		s.table.Touch(k, now)
		s.mu.Lock()
		more := k.peer.Packet(now, header, body)
		s.mu.Unlock()
		if !more {
			return true
		}
	}
}

// fail ends the connection for what its client sent; an error of the
// connection itself is false.
func (k *client) fail(err error) bool {
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	var fault broker.Fault
	if !errors.As(err, &fault) {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.ending // then the deadline ended it
	}
	k.peer.Fail(fault)
	return true
}

// keptBody bounds the buffer that a client keeps between packets, in bytes.
const keptBody = 4 << 10

// packet reads one packet. The body is valid until the next call.
func (k *client) packet(r *bufio.Reader) (header byte, body []byte, err error) {
	if header, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, shift := 0, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		length |= int(b&0x7f) << shift
		if shift += 7; b&0x80 == 0 {
			break
		}
		if shift == 28 {
			return 0, nil, broker.Malformed
		}
	}
	if length > broker.MaximumPacket {
		return 0, nil, broker.TooLarge
	}
	body = k.body
	if length > cap(body) {
		body = make([]byte, length)
		if length <= keptBody {
			k.body = body
		}
	}
	body = body[:length]
	_, err = io.ReadFull(r, body)
	return header, body, err
}
