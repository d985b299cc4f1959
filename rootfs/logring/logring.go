// Package logring keeps the newest lines of a board's log: in memory for the console,
// and on the data partition over a restart.
//
//	log.0   lines, at most half the size
//	log.1   the half before it
//
// A line is cut at MaxLine bytes; control characters become '?', so that no
// line can control a terminal. No one who logs waits for the card: what it does not take
// in time is missing in the files, and the log says how much. The package refuses to
// sync: a power cut loses what the filesystem had not written yet, some seconds.
package logring

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Our own choices.
const (
	MaxLine = 1024
	kept    = 1000 // lines in memory
)

// Ring keeps lines. The zero value keeps them in memory alone. Safe for
// concurrent use.
type Ring struct {
	mu      sync.Mutex
	lines   []string
	partial []byte // line that has no end yet
	files   *files // nil: lines are kept in memory alone
}

// Attach makes the ring keep its lines in folder too, in size bytes at most, and
// adds the lines that are there from an earlier run. What fails later goes to log, which
// may write to the ring. It is called once.
func (r *Ring) Attach(folder string, size int64, log *slog.Logger) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("logring: %v", err)
	}
	var before []string
	for _, n := range []string{"log.1", "log.0"} {
		lines, err := read(filepath.Join(folder, n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("logring: %v", err)
		}
		before = append(before, lines...)
	}
	r.files = newFiles(folder, size/2, log)
	for _, line := range r.lines {
		r.files.put(line)
	}
	r.lines = newest(append(before, r.lines...))
	return nil
}

// read returns the newest lines of a file, which may be damaged.
func read(name string) (lines []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 4*MaxLine)
	for s.Scan() {
		if lines = append(lines, clean(s.Bytes())); len(lines) >= 2*kept {
			lines = newest(lines)
		}
	}
	return lines, nil // what follows a damaged place is gone
}

// Write adds any part of the log; it never fails.
func (r *Ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, complete := bytes.Cut(rest, []byte("\n"))
		if room := MaxLine - len(r.partial); len(part) > room {
			part = part[:room]
		}
		r.partial = append(r.partial, part...)
		if complete {
			line := clean(r.partial)
			r.partial = r.partial[:0]
			r.lines = append(r.lines, line)
			if len(r.lines) >= 2*kept {
				r.lines = newest(r.lines)
			}
			if r.files != nil {
				r.files.put(line)
			}
		}
		rest = after
	}
	return len(p), nil
}

// newest returns the last lines in memory of their own.
func newest(lines []string) []string {
	return append([]string(nil), lines[max(0, len(lines)-kept):]...)
}

func clean(b []byte) string {
	b = bytes.Clone(b[:min(len(b), MaxLine)])
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(bytes.ToValidUTF8(b, []byte("?")))
}

// Tail returns the newest n lines, oldest first.
func (r *Ring) Tail(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines[max(0, len(r.lines)-min(n, kept)):]...)
}

// Close writes what waits for the card and closes the file, and returns why lines were not
// kept last. It waits for the card. Lines are kept in memory from then on.
func (r *Ring) Close() error {
	r.mu.Lock()
	f := r.files
	r.files = nil
	r.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.close()
}
