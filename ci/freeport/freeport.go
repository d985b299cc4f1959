// Package freeport finds ports of loopback for tests and tools that start servers.
// It imports nothing of this module, so that everything can use it.
//
// A port that was free a moment ago can be taken before its user listens on it. To
// make that unlikely, the ports come from below the range that the kernel gives to
// outgoing connections (net.ipv4.ip_local_port_range, 32768 and up), are free for
// TCP and UDP, and are not returned twice within the last few thousand calls. The
// package does not reserve a port: it refuses to keep a socket open for its caller.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The range of ports, which holds no well-known service of the tests' peers.
const (
	first = 20000
	count = 12000
)

var (
	mu   sync.Mutex
	next = rand.IntN(count) // processes that run beside each other begin apart
)

// Get returns a port that is free for TCP and UDP.
func Get() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	for range count {
		port := first + next
		next = (next + 1) % count
		if free(port) {
			return port, nil
		}
	}
	return 0, errors.New("freeport: no port of loopback is free")
}

// Several returns n different ports.
func Several(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		var err error
		if ports[i], err = Get(); err != nil {
			return nil, err
		}
	}
	return ports, nil
}

func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	u, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}
