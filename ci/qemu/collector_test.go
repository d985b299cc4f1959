package qemu

import (
	"bufio"
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
	lines    map[string]bool // last words of lines
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
	s := bufio.NewScanner(conn)
	s.Split(bufio.ScanWords)
	for s.Scan() {
		c.mu.Lock()
		c.lines[s.Text()] = true
		c.mu.Unlock()
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

// has tells whether all words have come.
func (c *collector) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for word := range strings.FieldsSeq(text) {
		if !c.lines[word] {
			return false
		}
	}
	return true
}
