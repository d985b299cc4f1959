package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"heliograph/firmware/platform/store"
)

// writer is the one goroutine that writes to the disk, without the lock.
type writer struct {
	q       *Queue
	f       *os.File // of cur
	cur     *segment // the last one, still growing; nil: none
	records int      // in cur
	dirty   bool     // cur has bytes that were not synced
	saved   uint64   // the position on disk
	retry   time.Time
	buf     []byte
}

func (w *writer) run() {
	defer close(w.q.ended)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.q.stop:
			return
		case <-w.q.wake:
			w.write()
		case <-tick.C:
			w.write()
			w.sync()
		}
	}
}

// write brings to disk what belongs there, unless the disk failed a moment ago.
func (w *writer) write() {
	q := w.q
	w.retire()
	if time.Now().Before(w.retry) {
		return
	}
	q.mu.Lock()
	down := q.down
	q.mu.Unlock()
	if down && w.persistMemory() != nil {
		return
	}
	for {
		q.mu.Lock()
		q.batch, q.tail = q.tail, q.batch
		entries := q.batch.all()
		q.mu.Unlock()
		if len(entries) == 0 {
			return
		}
		if err := w.append(entries); err != nil {
			w.fail(err)
			return
		}
	}
}

// append writes the batch, a segment at a time, and takes it off as it goes.
func (w *writer) append(entries []entry) error {
	for len(entries) > 0 {
		if w.cur == nil {
			f, s, err := createSegment(w.q.dir, entries[0].index)
			if err != nil {
				return err
			}
			w.f, w.cur, w.records = f, s, 0
			w.adopt(s, true)
		}
		n := 0
		w.buf = w.buf[:0]
		for n < len(entries) && (n == 0 || w.cur.size+int64(len(w.buf)) < w.q.segment) {
			w.buf = appendRecord(w.buf, w.cur.first, entries[n])
			n++
		}
		if _, err := w.f.Write(w.buf); err != nil {
			return err
		}
		w.dirty = true
		w.records += n
		w.written(n)
		entries = entries[n:]
		if cap(w.buf) > memoryBytes {
			w.buf = nil
		}
		if w.cur.size >= w.q.segment {
			if err := w.finish(); err != nil {
				return err
			}
		}
	}
	return nil
}

// written moves n records from the batch to the current segment.
func (w *writer) written(n int) {
	q := w.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for range n {
		e := q.batch.pop()
		w.cur.last = e.index
		w.cur.size += recordSize + int64(len(e.data))
		w.cur.unread++
	}
	q.unsynced += n
	q.healed()
	signal(q.ready)
}

// healed notes that the disk takes something; with the lock.
func (q *Queue) healed() {
	if q.fault != "" {
		q.fault = ""
		q.log.Info("spool writes to disk again", "folder", q.dir)
	}
}

func (w *writer) adopt(s *segment, growing bool) {
	q := w.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if growing {
		q.growing = s
		q.unsynced, q.unsyncedFrom = 0, s.first
	}
	q.segs = append(q.segs, s)
	sort.Slice(q.segs, func(i, j int) bool { return q.segs[i].first < q.segs[j].first })
}

// release lets go of the current segment, whose file is closed.
func (w *writer) release() {
	w.f, w.cur, w.dirty = nil, nil, false
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	w.q.growing = nil
	w.q.synced()
}

// finish closes the current segment with a trailer, synced.
func (w *writer) finish() error {
	f, s := w.f, w.cur
	_, err := f.Write(appendTrailer(nil, s.first, s.last, w.records))
	if synced := f.Sync(); err == nil { // on a full disk the records themselves all the same
		err = synced
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	w.release()
	return err
}

// fail goes on in memory and warns once.
func (w *writer) fail(err error) {
	q := w.q
	w.retry = time.Now().Add(retryEvery)
	if w.cur != nil { // the end of the file is in doubt
		_ = w.f.Truncate(w.cur.size)
		_ = w.f.Sync()
		_ = w.f.Close()
		w.release()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.batch.len() > 0 {
		for _, e := range q.tail.all() {
			q.batch.push(e)
		}
		q.tail, q.batch = q.batch, fifo{}
		q.boundTail()
	}
	if q.fault == "" {
		q.fault = err.Error()
		q.warn()
	}
	q.reap()
	signal(q.ready)
}

// persistMemory writes what no segment holds in front of everything that is on
// disk. The records stay in memory too.
func (w *writer) persistMemory() error {
	q := w.q
	q.mu.Lock()
	var entries []entry
	for _, e := range slices.Concat(q.out.all(), q.mem.all()) {
		if !e.onDisk {
			entries = append(entries, e)
		}
	}
	q.mu.Unlock()
	if len(entries) == 0 {
		return nil
	}
	f, s, err := createSegment(q.dir, entries[0].index)
	if err == nil {
		err = writeWhole(f, s, entries)
	}
	if err != nil {
		if s != nil {
			_ = os.Remove(s.path)
		}
		w.fail(err)
		return err
	}
	w.adopt(s, false)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, list := range [][]entry{q.out.all(), q.mem.all()} {
		for i := range list {
			if list[i].index >= s.first && list[i].index <= s.last {
				list[i].onDisk = true
			}
		}
	}
	q.reap()
	return nil
}

func writeWhole(f *os.File, s *segment, entries []entry) error {
	var b []byte
	for _, e := range entries {
		b = appendRecord(b, s.first, e)
	}
	s.last = entries[len(entries)-1].index
	s.size += int64(len(b))
	s.offset = s.size // all of it is in memory
	_, err := f.Write(appendTrailer(b, s.first, s.last, len(entries)))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// sync makes a second's records and the position durable.
func (w *writer) sync() {
	q := w.q
	if w.dirty {
		if err := w.f.Sync(); err != nil {
			w.fail(err)
			return
		}
		w.dirty = false
	}
	q.mu.Lock()
	q.synced()
	position, spooled, failed := q.position(), len(q.segs) > 0, q.fault != ""
	q.mu.Unlock()
	if time.Now().Before(w.retry) || !failed && (!spooled || position == w.saved) {
		return
	}
	if err := w.save(position, true); err != nil {
		w.fail(err)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.healed()
}

// retire removes the current segment once all of it was delivered.
func (w *writer) retire() {
	if w.cur == nil {
		return
	}
	q := w.q
	q.mu.Lock()
	drained := w.cur.unread == 0 && w.cur.last < q.position()
	q.mu.Unlock()
	if drained && w.records > 0 {
		_ = w.f.Close()
		w.release()
		q.mu.Lock()
		q.reap()
		q.mu.Unlock()
	}
}

// close brings to disk what it takes, and drops the rest.
func (w *writer) close() error {
	q := w.q
	w.retry = time.Time{}
	err := w.flush()
	q.mu.Lock()
	lost, position := q.dropVolatile(), q.position()
	q.mu.Unlock()
	if lost > 0 {
		err = fmt.Errorf("%d records that waited in memory are lost; free or repair the disk: %v", lost, err)
	}
	if saved := w.save(position, false); err == nil {
		err = saved
	}
	return err
}

func (w *writer) flush() error {
	q := w.q
	err := w.persistMemory()
	q.mu.Lock()
	q.batch, q.tail = q.tail, q.batch
	entries := q.batch.all()
	q.mu.Unlock()
	appended := w.append(entries)
	if appended == nil && w.cur != nil {
		appended = w.finish()
	}
	if appended != nil {
		w.fail(appended)
	}
	if err == nil {
		err = appended
	}
	return err
}

func (w *writer) save(position uint64, open bool) error {
	if err := store.Folder(w.q.dir); err != nil { // the start could not make it, perhaps
		return err
	}
	if err := store.Write(filepath.Join(w.q.dir, positionName), encodePosition(position, open)); err != nil {
		return err
	}
	w.saved = position
	return nil
}

// position is the index of the oldest record that was not delivered; with the lock.
func (q *Queue) position() uint64 {
	for _, f := range []*fifo{&q.out, &q.mem} {
		if f.len() > 0 {
			return f.all()[0].index
		}
	}
	for i, s := range q.segs {
		if s.unread > 0 {
			if s.offset == headerSize {
				return s.first
			}
			if i > 0 {
				return max(s.first, q.lastRead+1)
			}
			return q.lastRead + 1
		}
	}
	for _, f := range []*fifo{&q.batch, &q.tail} {
		if f.len() > 0 {
			return f.all()[0].index
		}
	}
	return q.end
}

// reap removes the segments whose records were all delivered; with the lock.
func (q *Queue) reap() {
	if len(q.segs) == 0 {
		return
	}
	position := q.position()
	q.segs = slices.DeleteFunc(q.segs, func(s *segment) bool {
		if s.unread > 0 || s.last >= position && s.size > headerSize {
			return false
		}
		if s == q.growing {
			signal(q.wake) // the writer holds it open
			return false
		}
		_ = os.Remove(s.path)
		return true
	})
}
