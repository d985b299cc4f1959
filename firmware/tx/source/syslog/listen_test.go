package syslog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/config"
)

func TestListenerThatIsTakenIsReported(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newPort()
	s, err := New(config.SyslogSource{Listen: []string{"tcp://" + ln.Addr().String()}}, p,
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	await.True(t, "reason", func() bool {
		e := s.Ready()
		return e != nil &&
			strings.Contains(e.Error(), "address already in use")
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestWrongListenersAreRefused(t *testing.T) {
	for _, listen := range [][]string{nil, {"http://a:1"}, {"tcp://a"}, {"tls://127.0.0.1:1"}} {
		if _, err := New(config.SyslogSource{Listen: listen}, newPort(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%v: got nil, want an error", listen)
		}
	}
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
	_ = idle[0].SetReadDeadline(time.Now().Add(await.Bound))
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
	await.True(t, "each one beyond the limit",
		func() bool { return counted(t, s, "evicted_connections") == connections-maxConnections })
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
