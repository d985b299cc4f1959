package syslog

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/config"
)

func TestMessageThatTakesTooLongEndsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(config.SyslogSource{Listen: []string{"tcp://127.0.0.1:1"}}, newPort(),
			slog.New(slog.DiscardHandler))
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
