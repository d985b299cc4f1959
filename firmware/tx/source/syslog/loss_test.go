package syslog

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

// counted returns a counter by the name that metrics give it.
func counted(t testing.TB, s *Source, name string) uint64 {
	t.Helper()
	for _, v := range s.Counters()[0].Values {
		if v.Name == name {
			return v.Value
		}
	}
	t.Fatalf("there is no counter %q", name)
	return 0
}

// dialFrom connects from an address of the loopback network of one's own.
func dialFrom(t testing.TB, from, to string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestIdleConnectionsMakeRoomForNewOnes(t *testing.T) {
	s, p, addr := start(t, "tcp")
	var idle []net.Conn
	for range maxConnections {
		idle = append(idle, dialFrom(t, "127.0.0.1", addr))
	}
	await.True(t, "all accepted", func() bool { return counted(t, s, "open_connections") == maxConnections })
	fmt.Fprint(dialFrom(t, "127.0.0.2", addr), "<34>a line of another sender\n")
	await.True(t, "its line", func() bool { return len(p.got()) == 1 })
	_ = idle[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := idle[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the longest idle connection: got %v, want its end", err)
	}
	await.True(t, "one evicted", func() bool { return counted(t, s, "evicted_connections") == 1 })
	if open := counted(t, s, "open_connections"); open != maxConnections {
		t.Errorf("got %d open, want %d", open, maxConnections)
	}
}

func TestLinesOfConnectionsThatMakeRoomAreNotLost(t *testing.T) {
	s, p, addr := start(t, "tcp")
	const connections = 4 * maxConnections
	var wg sync.WaitGroup
	for part := range 4 { // each connection sends its line and stays open
		wg.Go(func() {
			for i := range connections / 4 {
				fmt.Fprintf(dialFrom(t, "127.0.0.1", addr), "<34>line %d of %d\n", i, part)
			}
		})
	}
	wg.Wait()
	await.True(t, "every line", func() bool { return len(p.got()) == connections })
	await.True(t, "each one beyond the limit", func() bool { return counted(t, s, "evicted_connections") == connections-maxConnections })
}

func TestConnectionsThatTheirSenderClosedAreNotEvicted(t *testing.T) {
	s, p, addr := start(t, "tcp")
	const connections = 4 * maxConnections
	for range connections {
		conn := dialFrom(t, "127.0.0.1", addr)
		fmt.Fprint(conn, "<34>a line\n")
		conn.Close()
	}
	await.True(t, "every line is received or counted", func() bool {
		return len(p.got())+int(counted(t, s, "evicted_connections")) == connections
	})
}

func TestEachLossHasItsCounter(t *testing.T) {
	for name, c := range map[string]struct {
		send  string
		abort bool
	}{
		"overlong_lines": {"<34>" + strings.Repeat("x", maxDiscard+2), false},
		"cut_lines":      {"100 <34>a", true},
	} {
		t.Run(name, func(t *testing.T) {
			s, p, addr := start(t, "tcp")
			conn := dialFrom(t, "127.0.0.1", addr)
			_, _ = io.WriteString(conn, c.send) // an overlong one is not taken to its end
			if c.abort {
				conn.Close()
			}
			await.True(t, name, func() bool { return counted(t, s, name) == 1 })
			if got := len(p.got()); got != 0 {
				t.Errorf("got %d lines, want none", got)
			}
		})
	}
	t.Run("count beyond 1 MiB", func(t *testing.T) {
		s, _, addr := start(t, "tcp")
		fmt.Fprint(dialFrom(t, "127.0.0.1", addr), "9999999 <34>a")
		await.True(t, "counted", func() bool { return counted(t, s, "overlong_lines") == 1 })
	})
	t.Run("reset within a line", func(t *testing.T) {
		s, p, addr := start(t, "tcp")
		conn := dialFrom(t, "127.0.0.1", addr)
		fmt.Fprint(conn, "<34>first\n<34>sec")
		await.True(t, "the first line", func() bool { return len(p.got()) == 1 })
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		await.True(t, "counted", func() bool { return counted(t, s, "cut_lines") == 1 })
	})
	t.Run("empty datagram", func(t *testing.T) {
		s, _, addr := start(t, "udp")
		conn, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(nil)
		await.True(t, "counted", func() bool { return counted(t, s, "empty_datagrams") == 1 })
	})
}

func TestLinesThatTheLinkRefusesAreCounted(t *testing.T) {
	s := &Source{port: &sourcetest.Port{Refuse: func(source.Update) error { return source.ErrTooLarge }}}
	s.put(newClassifier(), payload.UDP, netip.Addr{}, []byte("x"), false)
	if got := s.stats.Refused.Load(); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

// held is a link whose Put blocks until it is released.
type held struct {
	*port
	release chan struct{}
}

func (h *held) Put(u source.Update) error { <-h.release; return h.port.Put(u) }

func TestDatagramsThatTheKernelDropsAreCounted(t *testing.T) {
	h := &held{newPort(), make(chan struct{})}
	s, addr := startWith(t, "udp", h, h.port)
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := 0
	for line := []byte(strings.Repeat("x", 32<<10)); counted(t, s, "kernel_dropped_datagrams") < 10; sent++ {
		if _, err := conn.Write(line); err != nil {
			t.Fatal(err)
		}
		if sent > 1<<16 {
			t.Fatal("2 GiB are waiting and nothing was dropped")
		}
	}
	close(h.release)
	await.True(t, "every datagram is received or counted", func() bool {
		return len(h.got())+int(counted(t, s, "kernel_dropped_datagrams")) == sent
	})
}

func TestConnectionsThatTheKernelDropsAreCounted(t *testing.T) {
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var d drops
	if err := d.follow(ln); err != nil {
		t.Fatal(err)
	}
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 1) }); err != nil {
		t.Fatal(err)
	}
	if got := d.count(); got != 0 {
		t.Fatalf("got %d before, want 0", got)
	}
	to := ln.Addr().(*net.TCPAddr)
	for range 16 { // without accepting any
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	await.True(t, "14 of 16 dropped", func() bool { return d.count() >= 14 })
	before := d.count()
	ln.Close()
	if got := d.count(); got < before {
		t.Errorf("after the listener was closed: got %d, want the %d from before", got, before)
	}
}
