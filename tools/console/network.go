package console

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	scheme      = "tcp://" // of a console on the network
	dialTimeout = 5 * time.Second
)

// network is a console whose bytes a TCP connection carries as they are.
type network struct {
	net.Conn
	timeout time.Duration // of a read; 0: none
}

func dial(address string) (Device, error) {
	c, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, fmt.Errorf("console: %s%s: %v", scheme, address, err)
	}
	return &network{Conn: c}, nil
}

// SetReadTimeout implements Port.
func (n *network) SetReadTimeout(d time.Duration) error {
	n.timeout = d
	return nil
}

// Read implements Port.
func (n *network) Read(p []byte) (int, error) {
	var end time.Time
	if n.timeout > 0 {
		end = time.Now().Add(n.timeout)
	}
	if err := n.SetReadDeadline(end); err != nil {
		return 0, err
	}
	count, err := n.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return count, err
}
