package syslog

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source/sourcetest"
)

func TestMessageThatTakesTooLongEndsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(config.SyslogSource{Listen: []string{"tcp://127.0.0.1:1"}}, newPort(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		began := time.Now()
		sender := make(chan struct{})
		go func() { // a byte every second, for ever
			defer close(sender)
			for {
				if _, err := theirs.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		s.serveConn(context.Background(), s.listeners[0], &peer{Conn: ours, table: s.open})
		elapsed := time.Since(began)
		ours.Close()
		<-sender
		if elapsed != messageTime || s.stats.Slow.Load() != 1 {
			t.Errorf("ended after %v with %d slow lines, want %v and one", elapsed, s.stats.Slow.Load(), messageTime)
		}
	})
}

func TestAllocationsPerLine(t *testing.T) {
	s, err := New(config.SyslogSource{Listen: []string{"tcp://127.0.0.1:1"}}, &sourcetest.Discard{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const line = "<34>1 2003-10-11T22:14:15Z host app - - - number of a test\n"
	f := &framer{r: bufio.NewReader(strings.NewReader(strings.Repeat(line, 2000))), begin: func(bool) {}}
	c := newClassifier()
	framing := testing.AllocsPerRun(500, func() {
		if _, _, err := f.next(); err != nil {
			t.Fatal(err)
		}
	})
	if framing > 0 {
		t.Errorf("framing: got %v allocations, want 0", framing)
	}
	text := []byte(line)
	parsing := testing.AllocsPerRun(500, func() { c.format(text) })
	whole := testing.AllocsPerRun(500, func() { s.put(c, payload.TCP, netip.Addr{}, text, false) })
	if whole > parsing+1 {
		t.Errorf("got %v allocations a line, want the payload beside the parser's %v", whole, parsing)
	}
	t.Logf("%v allocations a line, %v of them the parser's", whole, parsing)
}
