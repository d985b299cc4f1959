package logring

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Our own choices.
const (
	queuedLines   = kept        // that wait for a card that stalls
	retryInterval = time.Minute // between attempts to write after an error
)

// files are the two files of a ring. One goroutine writes them, so that no one who logs
// waits for the card.
type files struct {
	folder string
	half   int64
	log    *slog.Logger
	queue  chan string
	ended  chan struct{} // closed when the goroutine has ended
	lost   atomic.Int64  // lines that are not in the files, since that was logged last

	// Of the goroutine alone, until it has ended.
	file   *os.File // log.0; nil while it is not open
	size   int64
	fault  error // of the last attempt to write
	failed time.Time
}

func newFiles(folder string, half int64, log *slog.Logger) *files {
	f := &files{folder: folder, half: half, log: log}
	f.queue, f.ended = make(chan string, queuedLines), make(chan struct{})
	go func() {
		defer close(f.ended)
		for line := range f.queue {
			f.keep(line)
		}
	}()
	return f
}

// put adds a line; it never waits. A line for which there is no room is counted.
func (f *files) put(line string) {
	select {
	case f.queue <- line:
	default:
		f.lost.Add(1)
	}
}

// keep writes a line. It logs the first of several errors in a row and, when lines are
// written again, how many are missing.
func (f *files) keep(line string) {
	before := f.fault
	if before != nil && time.Since(f.failed) < retryInterval {
		f.lost.Add(1)
		return
	}
	if f.fault = f.append(line); f.fault != nil {
		f.lost.Add(1)
		f.failed = time.Now()
		if before == nil {
			f.log.Error("log not written to the card", "error", f.fault, "retry", retryInterval.String())
		}
		return
	}
	if len(f.queue) > 0 {
		return // more may be lost until the queue is empty
	}
	if n := f.lost.Swap(0); n > 0 {
		f.log.Warn("lines of the log are missing on the card", "lines", n)
	}
}

// append appends a line to log.0, which becomes log.1 when it is full.
func (f *files) append(line string) error {
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	n, err := f.file.WriteString(line + "\n")
	f.size += int64(n)
	if err == nil && f.size < f.half {
		return nil
	}
	_ = f.file.Close()
	f.file = nil
	if err == nil {
		err = os.Rename(filepath.Join(f.folder, "log.0"), filepath.Join(f.folder, "log.1"))
	}
	if err != nil {
		return fmt.Errorf("logring: %v", err)
	}
	return nil
}

func (f *files) open() error {
	file, err := os.OpenFile(filepath.Join(f.folder, "log.0"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("logring: %v", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("logring: %v", err)
	}
	f.file, f.size = file, info.Size()
	return nil
}

// close waits until the queued lines are written. No line may be put any more.
func (f *files) close() error {
	close(f.queue)
	<-f.ended
	if f.file == nil {
		return f.fault
	}
	return errors.Join(f.fault, f.file.Close())
}
