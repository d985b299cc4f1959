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

func TestPartsOfTheRangeAreTakenOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 2 * count / part { // more than there are
		e := take()
		if e.held == nil {
			if e != (extent{first, count, nil}) {
				t.Errorf("got %+v, want the whole range once all parts are taken", e)
			}
			continue
		}
		defer func() { _ = e.held.Close() }()
		if seen[e.first] || e.count != part || e.first%part != 0 || e.first < first || e.first >= first+count {
			t.Errorf("got %d from %d on, want %d that no one else has", e.count, e.first, part)
		}
		seen[e.first] = true
	}
}
