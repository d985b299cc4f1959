package syslog

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
)

func TestEachLossHasItsCounter(t *testing.T) {
	for name, c := range map[string]struct {
		send   string
		abort  bool
		missed string
	}{
		"overlong_lines": {"<34>" + strings.Repeat("x", maxDiscard+2), false, missedOverlong},
		"cut_lines":      {"100 <34>a", true, missedCut},
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
			await.True(t, "missed", func() bool { return p.MissedTotal()[c.missed] == 1 })
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
	await.True(t, "what was dropped is missed", func() bool {
		return len(h.got())+int(h.MissedTotal()[missedDatagrams]) == sent
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
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port,
			Addr: [4]byte(to.IP.To4())}); err != unix.EINPROGRESS {
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
