package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/store"
)

// Our own bounds.
const (
	writeEvery  = time.Second     // to the page cache
	syncEvery   = 5 * time.Second // each costs the card a page or two
	retryEvery  = 5 * time.Second // after the disk failed
	expireEvery = time.Minute
	closeTries  = 3 // what was sealing, then the last generation; a disk that is full makes room first
	sealShare   = 8 // a generation is sealed after so much of Limits.Age, or a day
	page        = 4096
)

// worker is what writes. Its fields belong to its lock, which is held while the disk works.
type worker struct {
	s  *Store
	mu sync.Mutex

	found   bool // the folder was read
	journal journal
	broken  uint64 // the generation whose journal cannot be written
	from    int64  // in the journal: what comes after it is not synced
	given   uint64 // changes that the Store had been given when the journal was last complete
	synced  time.Time
	expired time.Time
	since   time.Duration // of what the process has run: from then on something is too old
	wait    time.Duration // after that the oldest segment goes
	retry   time.Time
	spare   []byte
}

// Run writes what is added until ctx ends; what is added until Close, that writes. It never fails: a
// disk that does is tried again.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(writeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.wake:
		}
		s.step(s.now())
	}
}

// Ready returns nil, or why the history is kept in memory only.
func (s *Store) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return cause.State(fmt.Errorf("%s: kept in memory only; free or repair the disk: %w", s, s.fault))
	}
	return nil
}

// String returns "history" and the folder's name.
func (s *Store) String() string { return "history " + filepath.Base(s.dir) }

// Close writes what is pending and gives the files back: into segments what no journal can take.
// Progress says what the disk did not take even so. What is added after it is dropped.
func (s *Store) Close() {
	w := &s.work
	w.mu.Lock()
	defer w.mu.Unlock()
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return
	}
	now := s.now()
	w.commit()
	w.sync(now)
	for range closeTries {
		if w.found && w.stranded() {
			w.seal(now)
		}
	}
	w.sync(now) // what waited for the sealing counts as durable
	w.journal.close()
}

// stranded reports whether there is something that no journal takes.
func (w *worker) stranded() bool {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sealing) > 0 || s.open.changes > 0 && w.broken == s.open.number
}

// step does what is to be done at a time.
func (s *Store) step(now time.Time) {
	w := &s.work
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.found && !now.Before(w.retry) {
		w.recover(now)
	}
	if !w.found {
		return
	}
	w.commit()
	if now.Sub(w.synced).Abs() >= syncEvery {
		w.sync(now)
	}
	if w.due(now) {
		w.seal(now)
	}
	if now.Sub(w.expired).Abs() >= expireEvery {
		w.expire(now)
	}
}

// commit writes what is pending to the journal.
func (w *worker) commit() {
	s := w.s
	s.mu.Lock()
	g := s.open
	changes, given := g.pending, s.given
	g.pending = w.spare[:0]
	w.spare = changes
	blocked := !w.found || w.broken == g.number || len(s.sealing) > 1 // the journal's file is in use
	s.mu.Unlock()
	if cap(w.spare) > 1<<20 {
		w.spare = nil
	}
	if len(changes) == 0 {
		if !blocked {
			w.given = given
		}
		return
	}
	if blocked || len(changes) > maxBody {
		w.broken = g.number // it is sealed next
		return
	}
	if w.journal.generation != g.number {
		w.journal.close()
		w.journal = journal{path: journalPath(s.dir, g.number), generation: g.number, buf: w.journal.buf}
		w.from = 0
	}
	if w.write(changes) {
		w.given = given
	}
}

// write writes changes to the journal as it stands, and reports whether it could.
func (w *worker) write(changes []byte) bool {
	err := w.s.folder()
	if err == nil {
		err = w.journal.write(w.s.packer, changes)
	}
	if err != nil {
		w.breakJournal(err)
	}
	return err == nil
}

// breakJournal gives the journal up: the generation is safe once it is sealed.
func (w *worker) breakJournal(err error) {
	w.broken = w.journal.generation
	w.journal.close()
	_, w.given = w.s.Progress()
	w.fail(err, w.s.now())
}

// sync has the journal survive a power cut.
func (w *worker) sync(now time.Time) {
	w.synced = now
	bytes := int64(0)
	if end := w.journal.end; w.journal.dirty {
		if err := w.journal.sync(); err != nil {
			w.breakJournal(err)
			return
		}
		bytes = (end+page-1)/page*page - w.from/page*page
		w.from = end
	}
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Written += uint64(bytes)
	if len(s.sealing) == 0 { // else the end of the journal before this one may be in memory only
		s.durable = max(s.durable, w.given)
	}
}

// due reports whether there is something to seal, unless the disk failed a moment ago.
func (w *worker) due(now time.Time) bool {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(w.retry) {
		return false
	}
	return len(s.sealing) > 0 || s.open.changes > 0 &&
		(s.open.isFull(s.full) || w.broken == s.open.number || now.Sub(s.began) >= s.longest())
}

// seal makes segments of what is sealing, or of the open generation.
func (w *worker) seal(now time.Time) {
	s := w.s
	s.mu.Lock()
	var rest []byte
	if len(s.sealing) == 0 {
		rest = s.open.pending
		s.open.pending = nil
		s.rotate()
	}
	sealing := s.sealing
	s.mu.Unlock()
	if len(rest) > 0 && w.journal.generation == sealing[0].number && w.broken != sealing[0].number {
		w.write(rest)
	}
	for _, g := range sealing {
		seg, err := w.writeSegment(g, ticksOf(now))
		if err != nil {
			w.fail(err, now)
			if errors.Is(err, syscall.ENOSPC) {
				w.remove(s.oldest(now), now)
			}
			return
		}
		s.mu.Lock()
		s.segments = append(s.segments, seg)
		s.durable = max(s.durable, g.given)
		if len(s.sealing) > 0 && s.sealing[0] == g {
			s.sealing = s.sealing[1:]
		} else {
			s.stats.Dropped -= g.changes // the memory was needed meanwhile
		}
		s.stats.Written += uint64((seg.size + page - 1) / page * page)
		s.clearFault()
		s.mu.Unlock()
	}
	w.expire(now)
}

// writeSegment writes a generation to its file.
func (w *worker) writeSegment(g *generation, sealed int64) (*segment, error) {
	s := w.s
	if err := s.folder(); err != nil {
		return nil, err
	}
	path := segmentPath(s.dir, g.number)
	temp := path + tempSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	b := bufio.NewWriterSize(f, 64<<10)
	seg, err := writeSegment(b, s.packer, g, sealed)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = store.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return nil, err
	}
	return seg, nil
}

// folder makes the folder, unless it is there.
func (s *Store) folder() error {
	if _, err := os.Lstat(s.dir); err == nil {
		return nil
	}
	return store.Folder(s.dir)
}

// fail notes that the disk cannot be used.
func (w *worker) fail(err error, now time.Time) {
	w.retry = now.Add(retryEvery)
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		s.log.Warn("history is kept in memory only; free or repair the disk", "error", err, "folder", s.dir)
	}
	s.fault = err
}

// clearFault notes that the disk works; with the Store's lock.
func (s *Store) clearFault() {
	if s.fault != nil {
		s.fault = nil
		s.log.Info("history is written to disk again", "folder", s.dir)
	}
}
