package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	readAhead  = 4096
	growStep   = 16 << 10 // memory grows with arrived bytes, in steps of this
	lingerTime = 500 * time.Millisecond
	lingerSize = 256 << 10
	errorWrite = time.Second
)

// Conn is a connection after the hello exchange. One goroutine reads; any number
// may write, whole chunks at a time.
type Conn struct {
	nc       net.Conn
	in       *bufio.Reader
	chunk    []byte // the chunk being read, reused
	limits   Negotiated
	timeouts Timeouts
	endpoint string
	account  account
	inUse    atomic.Bool
	onClose  func()
	writing  sync.Mutex
	cut      bool        // a write has failed, perhaps within a chunk; guarded by writing
	ending   atomic.Bool // closed, or being closed by Fail
}

func newConn(nc net.Conn, timeouts Timeouts, memory *budget) *Conn {
	return &Conn{nc: nc, in: bufio.NewReaderSize(nc, readAhead), timeouts: timeouts, account: account{from: memory}}
}

// Limits returns what the hello exchange agreed on.
func (c *Conn) Limits() Negotiated { return c.limits }

// EndpointURL is the URL in the client's hello.
func (c *Conn) EndpointURL() string { return c.endpoint }

// LocalAddr is the local address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr is the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// RemoteIP is the peer's address without its port, or the zero Addr where the
// connection is not over IP.
func (c *Conn) RemoteIP() netip.Addr { return addrOf(c.nc) }

// SetInUse records that the connection carries a session. A full listener closes the oldest
// connection without one to accept another (OPC 10000-4 §5.6.2).
func (c *Conn) SetInUse(v bool) { c.inUse.Store(v) }

// ReadChunk waits until deadline (zero: no limit) for the next chunk to begin and then the
// chunk timeout for its end. The bytes, header included, are valid until
// the next call. A chunk above the negotiated size is refused before it is read.
func (c *Conn) ReadChunk(deadline time.Time) (Header, []byte, error) {
	// Setting a deadline fails only on a closed connection. What was received before is
	// still read, and the reads then report the end.
	_ = c.nc.SetReadDeadline(deadline)
	if _, err := c.in.Peek(1); err != nil {
		return Header{}, nil, readError(err, "no message in time")
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(c.timeouts.Chunk))
	return c.readRest(c.limits.ReceiveChunk)
}

func (c *Conn) readRest(limit uint32) (Header, []byte, error) {
	var head [HeaderSize]byte
	for i := range head {
		b, err := c.in.ReadByte()
		if err != nil {
			return Header{}, nil, cutOff(err)
		}
		head[i] = b
	}
	h, err := ParseHeader(head[:])
	if err != nil {
		return Header{}, nil, err
	}
	if h.Size > limit {
		return Header{}, nil, fault(ua.StatusBadTCPMessageTooLarge, "chunk is larger than the receive buffer")
	}
	c.chunk = append(c.chunk[:0], head[:]...)
	for len(c.chunk) < int(h.Size) {
		at := len(c.chunk)
		next := min(int(h.Size), at+growStep)
		if err := c.grow(next); err != nil {
			return Header{}, nil, err
		}
		c.chunk = c.chunk[:next]
		if _, err := io.ReadFull(c.in, c.chunk[at:]); err != nil {
			return Header{}, nil, cutOff(err)
		}
	}
	return h, c.chunk, nil
}

func (c *Conn) grow(size int) error {
	if size <= cap(c.chunk) {
		return nil
	}
	if err := c.Reserve(size - cap(c.chunk)); err != nil {
		return err
	}
	bigger := make([]byte, len(c.chunk), size)
	copy(bigger, c.chunk)
	c.chunk = bigger
	return nil
}

// WriteChunk sends one complete chunk. It closes the connection if that takes too long, and returns
// net.ErrClosed while Fail closes it.
func (c *Conn) WriteChunk(b []byte) error {
	if uint32(len(b)) > c.limits.SendChunk {
		return fault(ua.StatusBadTCPMessageTooLarge, "chunk is larger than the peer's receive buffer")
	}
	return c.write(b, c.timeouts.Write, false)
}

// write sends bytes; failing is true for the error message of Fail, which is the last.
func (c *Conn) write(b []byte, within time.Duration, failing bool) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.nc.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	// Checked only now: either this sees that Fail has begun, or Fail's deadline follows this one.
	if c.cut || c.ending.Load() && !failing {
		return net.ErrClosed
	}
	if _, err := c.nc.Write(b); err != nil {
		c.cut = true // nothing can follow part of a chunk
		c.Close()
		return err
	}
	return nil
}

// Reserve takes n bytes from the listener's memory for what the connection is about to hold,
// and fails if there is not enough. Close returns all of it.
func (c *Conn) Reserve(n int) error {
	if !c.account.reserve(int64(n)) {
		return fault(ua.StatusBadTCPNotEnoughResources, "server is out of memory for messages")
	}
	return nil
}

// Release returns n reserved bytes.
func (c *Conn) Release(n int) { c.account.give(int64(n)) }

// Fail sends the peer an error message and closes, within two seconds. It gives the peer
// time to read the message: closing a socket with unread bytes would reset it, and lose them.
func (c *Conn) Fail(code ua.StatusCode, reason string) {
	if c.ending.Swap(true) {
		return
	}
	deadline := time.Now().Add(errorWrite)
	_ = c.nc.SetWriteDeadline(deadline) // ends a write to a peer that does not read
	e := Error{Code: code, Reason: reason}
	if c.write(e.Append(nil), time.Until(deadline), true) == nil {
		c.linger()
	}
	_ = c.close()
}

func (c *Conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.nc, lingerSize)
}

// Close closes the connection at once, unless Fail is sending an error message: Fail closes
// it then. It may be called more than once.
func (c *Conn) Close() error {
	if c.ending.Swap(true) {
		return nil
	}
	return c.close()
}

func (c *Conn) close() error {
	err := c.nc.Close()
	c.account.close()
	if c.onClose != nil {
		c.onClose()
	}
	return err
}

func readError(err error, late string) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault(ua.StatusBadTimeout, late)
	}
	return err
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return readError(err, "chunk did not end in time")
}

func addrOf(nc net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
