package spool

import (
	"os"
	"sort"
	"time"
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

// run writes until the queue stops.
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
	w.removeFiles()
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
		if w.cur != nil && entries[0].index != w.cur.last+1 { // what lies between may come to a segment of its own
			if err := w.finish(); err != nil {
				return err
			}
		}
		if w.cur == nil {
			f, s, err := createSegment(w.q.dir, entries[0].index)
			if err != nil {
				return err
			}
			w.f, w.cur, w.records = f, s, 0
			w.addSegment(s, true)
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
	q.clearFault()
	signal(q.ready)
}

// clearFault notes that the disk works; with the lock.
func (q *Queue) clearFault() {
	if q.fault != nil {
		q.fault = nil
		q.log.Info("records are written to disk again", "folder", q.dir)
	}
}

// addSegment adds a segment to the queue; growing: the writer holds it open.
func (w *writer) addSegment(s *segment, growing bool) {
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

// release releases the current segment, whose file is closed.
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

// fail keeps the records in memory and warns once.
func (w *writer) fail(err error) {
	q := w.q
	defer w.removeFiles() // a segment that nothing was written to: the next one has its name
	w.retry = time.Now().Add(retryEvery)
	if w.cur != nil { // the end of the file is uncertain
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
	if q.fault == nil {
		q.fault = err
		q.warnFault()
	}
	q.reap()
	signal(q.ready)
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
	position, spooled, failed := q.position(), len(q.segs) > 0, q.fault != nil
	q.mu.Unlock()
	if time.Now().Before(w.retry) || !failed && (!spooled || position == w.saved) {
		return
	}
	if err := w.save(position, stillOpen); err != nil {
		w.fail(err)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clearFault()
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
