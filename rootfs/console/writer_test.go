package console

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowLine takes one write a second.
type slowLine struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *slowLine) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *slowLine) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// writer returns a writer to a line, and what ends it.
func writer() (*Writer, *slowLine, func()) {
	l := &slowLine{}
	w := NewWriter(l)
	return w, l, func() { close(w.queue) }
}

func TestLogLinesNeverWaitForTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, line, end := writer()
		start := time.Now()
		const lines = queuedWrites + 51
		for range lines {
			if n, err := w.Write([]byte("line\n")); n != 5 || err != nil {
				t.Fatalf("got %d, %v", n, err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		end()
		time.Sleep(time.Hour)
		got := line.String()
		if shown := strings.Count(got, "line\n"); shown < queuedWrites || shown > lines {
			t.Errorf("got %d lines shown of %d", shown, lines)
		}
		if strings.Count(got, "log lines were not shown here") != 1 {
			t.Errorf("the lines that are missing are not counted: %q", got[max(0, len(got)-100):])
		}
	})
}

func TestAnswersWaitForTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, line, end := writer()
		answer := w.Waiting(t.Context())
		const lines = 2 * queuedWrites
		for range lines {
			if _, err := answer.Write([]byte("line\n")); err != nil {
				t.Fatal(err)
			}
		}
		end()
		time.Sleep(time.Hour)
		if got := strings.Count(line.String(), "line\n"); got != lines {
			t.Errorf("got %d lines shown, want %d", got, lines)
		}
	})
}

func TestAnswerFailsWhenTheLineTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Writer{queue: make(chan []byte)}
		start := time.Now()
		if _, err := w.Waiting(t.Context()).Write(nil); !errors.Is(err, os.ErrDeadlineExceeded) ||
			time.Since(start) != queueTimeout {
			t.Errorf("got %v after %v, want the end of the wait", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Waiting(ctx).Write(nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that of the context", err)
		}
	})
}
