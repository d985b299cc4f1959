// Package freeport finds ports of loopback for tests and tools that start servers.
// It imports nothing of this module, so that everything can use it.
//
// A port that was free a moment ago can be taken before its user listens on it. To
// make that unlikely, the ports come from below the range that the kernel gives to
// outgoing connections (net.ipv4.ip_local_port_range, 32768 and up), are free for
// TCP and UDP, and are not returned twice within a thousand calls. Processes that run
// beside each other take theirs from different parts of the range. The package does not
// reserve a port: it refuses to keep a socket open for its caller.
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
	part  = 1000 // of one process
)

var (
	mu  sync.Mutex
	own = sync.OnceValue(findExtent)
)

// extent is from which port on how many are a process's.
type extent struct {
	first, count int
	next         int          // offset of the port to try next
	held         net.Listener // on the first one, as long as the process lives; nil when all parts are taken
}

// findExtent finds a part of the range that no other process has, else takes the whole of it.
func findExtent() *extent {
	for i, begin := 0, rand.IntN(count/part); i < count/part; i++ {
		from := first + (begin+i)%(count/part)*part
		if l, err := net.Listen("tcp", address(from)); err == nil {
			return &extent{first: from, count: part, next: rand.IntN(part), held: l}
		}
	}
	return &extent{first: first, count: count, next: rand.IntN(count)}
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Get returns a port that is free for TCP and UDP.
func Get() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	e := own()
	for range e.count {
		port := e.first + e.next
		e.next = (e.next + 1) % e.count
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
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	u, err := net.ListenPacket("udp", address(port))
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}
