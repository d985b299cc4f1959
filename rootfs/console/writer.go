package console

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Our own choices.
const (
	queuedWrites = 256             // that wait for a slow line
	queueTimeout = 5 * time.Second // that the answer to a key waits for its place in the queue
)

// Writer writes to a serial line, which is slow and may be held up by a terminal.
// What the line does not take in time is dropped and counted, so that no log line
// ever waits for it. Safe for concurrent use.
type Writer struct {
	queue   chan []byte
	dropped atomic.Uint64
}

// NewWriter returns a writer to a line.
func NewWriter(line io.Writer) *Writer {
	w := &Writer{queue: make(chan []byte, queuedWrites)}
	go func() {
		for b := range w.queue {
			_, _ = line.Write(b)
			if n := w.dropped.Swap(0); n > 0 {
				fmt.Fprintf(line, "%d log lines were not shown here\n", n)
			}
		}
	}()
	return w
}

// Write implements io.Writer; it never fails and never waits.
func (w *Writer) Write(p []byte) (int, error) {
	select {
	case w.queue <- append([]byte(nil), p...):
	default: // the log ring has the line
		w.dropped.Add(1)
	}
	return len(p), nil
}

// Waiting returns a writer for answers to the operator. It waits until the line has
// taken what was written before, and fails when it takes nothing or ctx ends.
func (w *Writer) Waiting(ctx context.Context) io.Writer { return waiting{w, ctx} }

type waiting struct {
	*Writer
	ctx context.Context
}

// Write implements io.Writer.
func (w waiting) Write(b []byte) (int, error) {
	timer := time.NewTimer(queueTimeout)
	defer timer.Stop()
	select {
	case w.queue <- append([]byte(nil), b...):
		return len(b), nil
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	case <-timer.C:
		w.dropped.Add(1)
		return 0, os.ErrDeadlineExceeded
	}
}
