package pagelog

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"heliograph/firmware/conduit/record"
)

// Our own choices.
const (
	chunkBytes = 256 << 10 // read at once
	aheadBytes = 512 << 10 // read ahead of what is sent
	readTries  = 12        // retryEvery apart, before what cannot be read is left out
)

// earliest is before any time of day that this program can have seen: a clock that shows
// less was not set.
var earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// reader is what was read for the present pass. Its fields belong to the lock.
type reader struct {
	wake   chan struct{}
	pass   uint64 // one more with each Rewind
	ready  [][]byte
	bytes  int // of them
	done   bool
	firsts map[uint16]first
}

// first is the first page of a channel in a pass.
type first struct {
	pass          uint64
	epoch, number uint64
}

// cursor is where the goroutine that reads stands.
type cursor struct {
	pass   uint64
	number uint64 // of the segment
	offset int64
	failed int // reads in a row
}

// Oldest implements replay.Older. It is the first page of the channel in the last pass,
// or the epoch of the oldest page of all.
func (l *Log) Oldest(channel uint16) (epoch, number uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return 0, 0, false
	}
	epoch, number = l.segments[0].epoch, 1
	if f, known := l.reader.firsts[channel]; known && f.epoch >= epoch {
		epoch, number = f.epoch, f.number
	}
	return epoch, number, true
}

// Since implements replay.Older.
func (l *Log) Since() (since time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return time.Time{}, false
	}
	since = time.Unix(0, l.segments[0].since)
	return since, since.After(earliest)
}

// Rewind implements replay.Older.
func (l *Log) Rewind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.reader
	r.pass++
	r.ready, r.bytes, r.done = nil, 0, false
	l.wakeReader()
}

// Next implements replay.Older.
func (l *Log) Next() (body []byte, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.reader
	if len(r.ready) == 0 {
		return nil, !r.done
	}
	body = r.ready[0]
	r.ready[0] = nil
	r.ready = r.ready[1:]
	if r.bytes -= len(body); r.bytes < aheadBytes/2 && !r.done {
		l.wakeReader()
	}
	return body, true
}

func (l *Log) wakeReader() {
	select {
	case l.reader.wake <- struct{}{}:
	default:
	}
}

// read reads ahead until ctx ends.
func (l *Log) read(ctx context.Context) {
	var c cursor
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.reader.wake:
		}
		for ctx.Err() == nil {
			s, size, ok := l.toRead(&c)
			if !ok {
				break
			}
			if l.readChunk(&c, s, size) {
				continue
			}
			select {
			case <-ctx.Done():
			case <-time.After(retryEvery):
			}
		}
	}
}

// toRead returns the segment that is to be read next and its size, with the cursor in
// it. ok is false when enough was read, or all.
func (l *Log) toRead(c *cursor) (s *segment, size int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.reader
	if c.pass != r.pass {
		*c = cursor{pass: r.pass, failed: c.failed}
	}
	if r.done || r.pass == 0 || r.bytes >= aheadBytes {
		return nil, 0, false
	}
	for _, s := range l.segments {
		if s.number > c.number {
			c.number, c.offset = s.number, headerSize
		}
		if s.number == c.number && c.offset < s.size {
			return s, s.size, true
		}
	}
	if l.writer.taking {
		return nil, 0, false
	}
	if len(l.segments) > 0 { // without one, nothing is stated of them
		for _, p := range l.writer.waiting {
			r.add(p.body)
		}
	}
	r.done = true
	return nil, 0, false
}

// readChunk reads pages of a segment from the cursor on, or finds that there are none
// that are whole. It returns false when the disk failed, which may pass: a pass that went
// on without those pages would have the receiver give them up.
func (l *Log) readChunk(c *cursor, s *segment, size int64) bool {
	pages, end, err := readPages(s.path, s.number, c.offset, size)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.reader
	for _, body := range pages {
		if c.pass == r.pass {
			r.add(body)
		}
	}
	c.offset = end
	if err == nil {
		if c.failed = 0; end == size {
			s.unread = nil
		}
		return true
	}
	switch {
	case errors.Is(err, os.ErrNotExist): // it was removed to make room
	case !errors.Is(err, errDamaged):
		l.stats.Errors++
		if c.failed++; c.failed < readTries && s.unread == nil {
			return false
		}
		l.leaveOut(s, err)
	case !s.cut:
		s.cut = true
		l.stats.Cut++
	}
	c.offset = size // the rest cannot be read
	return true
}

// leaveOut has passes not wait for a segment that cannot be read; with the lock.
func (l *Log) leaveOut(s *segment, err error) {
	if s.unread == nil {
		l.log.Warn("replay pages on the disk cannot be read, and are left out", "error", err, "file", s.path)
	}
	s.unread = err
}

// add adds a page to those that are sent.
func (r *reader) add(body []byte) {
	r.ready = append(r.ready, body)
	r.bytes += len(body)
	r.notice(body)
}

// notice notes the first page of a channel in a pass.
func (r *reader) notice(body []byte) {
	var p record.Replay
	if p.Parse(body) != nil || r.firsts[p.Channel].pass == r.pass {
		return
	}
	if r.firsts == nil {
		r.firsts = map[uint16]first{}
	}
	r.firsts[p.Channel] = first{r.pass, p.Epoch, p.First}
}

// readPages reads the pages between from and to, about chunkBytes of them and at least
// one. end is where the next one begins.
func readPages(path string, number uint64, from, to int64) (pages [][]byte, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, from, err
	}
	defer f.Close()
	for size := min(to-from, chunkBytes); ; {
		b := make([]byte, size)
		if _, err := f.ReadAt(b, from); err == io.EOF {
			return nil, from, errDamaged // it was made shorter
		} else if err != nil {
			return nil, from, err
		}
		pages, need, err := parsePages(b, number)
		switch {
		case len(pages) > 0 || err != nil:
			return pages, from + need, err
		case need > to-from:
			return nil, from, errDamaged
		}
		size = need
	}
}

// parsePages parses the pages that b begins with. end is where they end; when there
// is none, it is how long b has to be.
func parsePages(b []byte, number uint64) (pages [][]byte, end int64, err error) {
	for {
		p, size, err := parsePage(b[end:], number)
		switch {
		case err != nil:
			return pages, end, err
		case p.body == nil && len(pages) == 0:
			return nil, int64(size), nil
		case p.body == nil:
			return pages, end, nil
		}
		pages = append(pages, p.body)
		end += int64(size)
	}
}
