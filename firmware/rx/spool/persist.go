package spool

import (
	"fmt"
	"os"
	"slices"
	"time"
)

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
	for len(entries) > 0 {
		n := 1 // in one run: another segment may hold what lies between two
		for n < len(entries) && entries[n].index == entries[n-1].index+1 {
			n++
		}
		if err := w.persistRun(entries[:n]); err != nil {
			w.fail(err)
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// persistRun writes records of memory to a segment of their own.
func (w *writer) persistRun(entries []entry) error {
	q := w.q
	f, s, err := createSegment(q.dir, entries[0].index)
	if err == nil {
		err = writeSegment(f, s, entries)
	}
	if err != nil {
		if s != nil {
			_ = os.Remove(s.path)
		}
		return err
	}
	w.addSegment(s, false)
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

// writeSegment writes a complete segment of entries, synced.
func writeSegment(f *os.File, s *segment, entries []entry) error {
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

// close writes what is left to disk, and drops what that does not take.
func (w *writer) close() error {
	q := w.q
	w.retry = time.Time{}
	err := w.flush()
	w.removeFiles()
	q.mu.Lock()
	lost, position, waiting := q.dropVolatile(), q.position(), q.records
	q.mu.Unlock()
	if lost > 0 {
		err = fmt.Errorf("%d records that waited in memory are lost; free or repair the disk: %v", lost, err)
	}
	if saved := w.save(position, waiting); err == nil {
		err = saved
	}
	return err
}

// flush writes everything that is in memory to disk.
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
