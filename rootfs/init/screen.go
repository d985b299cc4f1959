package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// screenLines is how many writes wait for a slow console.
const screenLines = 256

// screen is the console: a serial line that is slow, and may be held by a
// terminal. What it does not take in time is dropped and counted, so that no
// log line ever waits for it.
type screen struct {
	lines   chan []byte
	dropped atomic.Uint64
}

func newScreen(to io.Writer) *screen {
	s := &screen{lines: make(chan []byte, screenLines)}
	go func() {
		for b := range s.lines {
			_, _ = to.Write(b)
			if n := s.dropped.Swap(0); n > 0 {
				fmt.Fprintf(to, "%d log lines were not shown here\n", n)
			}
		}
	}()
	return s
}

// Write implements io.Writer; it never fails and never waits.
func (s *screen) Write(p []byte) (int, error) {
	select {
	case s.lines <- append([]byte(nil), p...):
	default: // the ring has them all
		s.dropped.Add(1)
	}
	return len(p), nil
}

// patience is how long an answer waits for a slow line, each time.
const patience = 5 * time.Second

// patient writes to a screen what somebody has asked for: it waits its turn, and
// fails when the line takes nothing.
type patient struct {
	*screen
	ctx context.Context
}

// Write implements io.Writer.
func (p patient) Write(b []byte) (int, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.lines <- append([]byte(nil), b...):
		return len(b), nil
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	case <-timer.C:
		p.dropped.Add(1)
		return 0, os.ErrDeadlineExceeded
	}
}

// kernelConsole returns where lines go; without a console they go nowhere.
func kernelConsole() io.Writer {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return io.Discard
	}
	return f
}
