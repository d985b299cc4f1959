package syslog

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
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

// TestASenderThatReadsNothingHoldsUpNoAnswer has an answer of TLS wait for a sender that reads nothing.
func TestASenderThatReadsNothingHoldsUpNoAnswer(t *testing.T) {
	for _, test := range []struct {
		name          string
		messageLeft   time.Duration // of the time for a message; 0: none is under way
		before, after bool          // it makes room before the write, or while it waits
		want          time.Duration
	}{
		{name: "between messages", want: writeTime},
		{name: "within a message", messageLeft: time.Second, want: time.Second},
		{name: "that is to make room", before: true, want: evictTime},
		{name: "that makes room meanwhile", after: true, want: evictTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				p := &peer{Conn: ours}
				began := time.Now()
				if test.messageLeft > 0 {
					p.deadline = began.Add(test.messageLeft)
				}
				if test.before {
					p.makeRoom(began.Add(evictTime))
				}
				ended := make(chan error, 1)
				go func() {
					_, err := p.Write([]byte("x"))
					ended <- err
				}()
				synctest.Wait()
				if test.after {
					p.makeRoom(began.Add(evictTime))
				}
				err := <-ended
				if elapsed := time.Since(began); elapsed != test.want || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended after %v with %v, want after %v with %v", elapsed, err, test.want,
						os.ErrDeadlineExceeded)
				}
			})
		})
	}
}
