package syslog

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

// port is the link, which accepts lines only.
type port struct{ sourcetest.Port }

func newPort() *port {
	return &port{sourcetest.Port{Refuse: func(u source.Update) error {
		if _, err := payload.Parse(u.Payload); err != nil || !u.Event || u.Time.IsZero() {
			return fmt.Errorf("not an event with a line and a time: %+v, %v", u, err)
		}
		return nil
	}}}
}

// got returns the lines that crossed.
func (p *port) got() (lines []payload.Line) {
	for _, u := range p.Updates() {
		l, _ := payload.Parse(u.Payload)
		lines = append(lines, l)
	}
	return lines
}

func start(t testing.TB, scheme string) (*Source, *port, string) {
	t.Helper()
	p := newPort()
	s, addr := startWith(t, scheme, p, p)
	return s, p, addr
}

// startWith runs a source whose link is to; p is the part of it that remembers.
func startWith(t testing.TB, scheme string, to source.Port, p *port) (*Source, string) {
	t.Helper()
	addr := await.FreeAddress(t)
	s, err := New(config.SyslogSource{Channel: "syslog", Listen: []string{scheme + "://" + addr}}, to,
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	await.True(t, "bound", func() bool { return p.Last().State == source.Up && p.Complete() })
	return s, addr
}

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

// held is a link whose Put blocks until it is released.
type held struct {
	*port
	release chan struct{}
}

func (h *held) Put(u source.Update) error { <-h.release; return h.port.Put(u) }
