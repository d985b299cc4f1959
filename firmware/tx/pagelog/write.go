package pagelog

import (
	"errors"
	"os"
	"syscall"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/store"
)

// writer appends pages. Its fields belong to the goroutine of Run, and to Close. Waiting
// and taking change with the lock, since a pass has what waits too.
type writer struct {
	number  uint64 // of the newest segment
	file    *os.File
	now     *segment // that file's
	taking  bool     // pages are on their way from the window to waiting
	waiting []waiting
	bytes   int // of them
	buffer  []byte
	retry   time.Time
	synced  time.Time
	dirty   bool
}

// waiting is a page that is not in a file yet.
type waiting struct {
	body  []byte
	since time.Time
}

// writeAtOnce is about how much is written at once, in bytes.
const writeAtOnce = 256 << 10

// write writes the pages whose first record left at least age ago.
func (l *Log) write(now time.Time, age time.Duration) {
	w := &l.writer
	if now.Before(w.retry) {
		return
	}
	var err error
	for l.collect(now, age); err == nil && len(w.waiting) > 0; l.collect(now, age) {
		err = l.put()
	}
	if err == nil && w.dirty && now.Sub(w.synced) >= syncEvery {
		err = w.file.Sync()
		w.dirty, w.synced = false, now
	}
	switch {
	case err != nil:
		w.retry = now.Add(retryEvery)
		l.failed(err)
		l.abandon(err)
	case w.now != nil:
		l.works()
	}
}

// collect takes pages out of the window, up to a bound.
func (l *Log) collect(now time.Time, age time.Duration) {
	w := &l.writer
	l.setTaking(true)
	defer l.setTaking(false)
	for w.bytes < writeAtOnce {
		body, since, ok := l.window.Unsaved(now, age)
		if !ok {
			return
		}
		l.mu.Lock()
		w.waiting = append(w.waiting, waiting{body, since})
		l.mu.Unlock()
		w.bytes += len(body)
	}
}

// setTaking has a pass not end its pages while some are on their way here.
func (l *Log) setTaking(taking bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer.taking = taking; !taking && l.reader.pass > 0 && !l.reader.done {
		l.wakeReader()
	}
}

// put appends what waits to the present segment, or to a new one if that is full.
func (l *Log) put() error {
	w := &l.writer
	if w.now != nil && w.now.size >= l.segment {
		if err := l.end(); err != nil {
			return err
		}
	}
	if w.now == nil {
		if err := l.begin(w.waiting[0]); err != nil {
			return err
		}
	}
	w.buffer = w.buffer[:0]
	for _, p := range w.waiting {
		w.buffer = appendPage(w.buffer, w.now.number, p.since.UnixNano(), p.body)
	}
	if err := l.room(int64(len(w.buffer)), 1); err != nil {
		return err
	}
	if _, err := w.file.Write(w.buffer); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.now.size += int64(len(w.buffer))
	l.bytes += int64(len(w.buffer))
	l.stats.Written += uint64(len(w.waiting))
	clear(w.waiting)
	w.waiting, w.bytes, w.dirty = w.waiting[:0], 0, true
	if cap(w.buffer) > 4*writeAtOnce {
		w.buffer = nil
	}
	return nil
}

// begin begins a segment whose first page is given.
func (l *Log) begin(first waiting) error {
	w := &l.writer
	var p record.Replay
	if err := p.Parse(first.body); err != nil {
		return err
	}
	w.number++
	s := &segment{
		path: segmentPath(l.dir, w.number), number: w.number, epoch: p.Epoch, since: first.since.UnixNano(),
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := os.OpenFile(s.path, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) { // the folder could not be made at the start
		if err = store.Folder(l.dir); err == nil {
			f, err = os.OpenFile(s.path, flags, 0o600)
		}
	}
	if err != nil {
		return err
	}
	head := s.appendHeader(nil)
	if _, err := f.Write(head); err != nil {
		f.Close()
		_ = os.Remove(s.path)
		return err
	}
	s.size = int64(len(head))
	w.file, w.now = f, s
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, s)
	l.bytes += s.size
	return nil
}

// room removes the oldest segments until there is room for bytes, but for the newest
// keep.
func (l *Log) room(bytes int64, keep int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bytes+bytes > l.limit && len(l.segments) > keep {
		if err := l.removeOldest(); err != nil {
			return err
		}
	}
	return nil
}

// removeOldest removes the oldest segment; with the lock.
func (l *Log) removeOldest() error {
	s := l.segments[0]
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l.segments = l.segments[1:]
	l.bytes -= s.size
	l.stats.Removed++
	return nil
}

// end ends the present segment.
func (l *Log) end() error {
	w := &l.writer
	err := w.file.Sync()
	if closed := w.file.Close(); err == nil {
		err = closed
	}
	w.file, w.now, w.dirty = nil, nil, false
	return err
}

// abandon ends a segment that could not be written; what waits goes to the next. On a
// disk that is full the oldest segment goes, so that others have room for their state.
func (l *Log) abandon(err error) {
	w := &l.writer
	if w.now != nil {
		_ = w.file.Truncate(w.now.size) // a page that was cut is not read either
		_ = w.file.Close()
		w.file, w.now, w.dirty = nil, nil, false
	}
	if errors.Is(err, syscall.ENOSPC) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.segments) > 1 {
			_ = l.removeOldest()
		}
	}
}
