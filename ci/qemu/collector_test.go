package qemu

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// collector takes syslog over TCP, and may be away.
type collector struct {
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	text     strings.Builder // all that came, however it was framed
}

func (c *collector) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.listener = l
	c.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
			go c.read(conn)
		}
	}()
}

func (c *collector) read(conn net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		c.mu.Lock()
		c.text.Write(b[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.listener.Close()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// has reports whether a line of the plant has arrived.
func (c *collector) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.text.String(), "heliograph: "+text)
}
