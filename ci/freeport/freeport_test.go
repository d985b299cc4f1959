package freeport

import (
	"fmt"
	"net"
	"testing"
)

func TestPortsAreDifferentAndFree(t *testing.T) {
	ports, err := Several(100)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] {
			t.Errorf("port %d was returned twice", port)
		}
		seen[port] = true
		if port < first || port >= first+count {
			t.Errorf("got port %d, want one of %d and up", port, first)
		}
	}
}

func TestAPortInUseIsNotReturned(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		port, err := Get()
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if network == "tcp" {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
		} else {
			u, err := net.ListenPacket("udp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
		}
		if free(port) {
			t.Errorf("port %d is in use for %s, and counts as free", port, network)
		}
	}
}

func TestAPartOfTheRangeIsTakenOnce(t *testing.T) {
	one, other := findExtent(), findExtent()
	for _, e := range []*extent{one, other} {
		if e.held == nil { // others have all parts
			if e.first != first || e.count != count || e.next >= count {
				t.Errorf("got %+v, want the whole range", e)
			}
			continue
		}
		defer func() { _ = e.held.Close() }()
		if e.count != part || e.first%part != 0 || e.first < first || e.first >= first+count {
			t.Errorf("got %+v, want a part", e)
		}
	}
	if one.held != nil && one.first == other.first {
		t.Errorf("both got the ports from %d on", one.first)
	}
}
