package status

import (
	"net"
	"net/netip"
	"time"

	"heliograph/firmware/platform/fairshare"
)

// fair is a listener that always has room: the longest idle connection of the
// address that holds most makes it.
type fair struct {
	net.Listener
	open    *fairshare.Table[*shared]
	evicted func(net.Addr)
}

// shared is a connection of a fair listener.
type shared struct {
	net.Conn
	open *fairshare.Table[*shared]
}

// Accept implements net.Listener.
func (l fair) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := &shared{c, l.open}
	if evicted, full := l.open.Add(from, remoteIP(c.RemoteAddr().String()), time.Now()); full {
		_ = evicted.Conn.Close() // its reader ends
		l.evicted(evicted.RemoteAddr())
	}
	return from, nil
}

// Read implements net.Conn.
func (c *shared) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.open.Touch(c, time.Now())
	}
	return n, err
}

// Write implements net.Conn.
func (c *shared) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.open.Touch(c, time.Now())
	}
	return n, err
}

// CloseWrite lets net/http end its answer without a reset, which would take the answer
// from a client that still sends.
func (c *shared) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *shared) Close() error {
	c.open.Remove(c)
	return c.Conn.Close()
}

// remoteIP is the address in what net calls "host:port"; the zero one for what has none.
func remoteIP(address string) netip.Addr {
	a, _ := netip.ParseAddrPort(address)
	return a.Addr().Unmap()
}
