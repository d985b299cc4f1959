package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/platform/store"
)

const (
	tempSuffix = ".tmp"
	damaged    = "damaged" // the newest file that was set aside
)

// live is a generation that is not sealed, and its journal.
type live struct {
	generation *generation
	journal    *journal
	whole      bool // the journal can be continued
}

// recover reads the folder. Where it cannot be read, nothing is written until it can: a
// file might be written over.
func (w *worker) recover(now time.Time) {
	s := w.s
	segments, err := w.readFolder()
	if err != nil {
		w.fail(err, now)
		return
	}
	next := uint64(1)
	if n := len(segments); n > 0 {
		next = segments[n-1].number + 1
	}
	var lives []live
	for i := range uint64(2) {
		l, err := w.readLive(journalPath(s.dir, i), next)
		if err != nil {
			w.fail(err, now)
			return
		}
		if l.generation != nil {
			lives = append(lives, l)
		}
	}
	slices.SortFunc(lives, func(a, b live) int { return int(a.generation.number) - int(b.generation.number) })
	w.found = true
	w.delay()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = segments
	s.clearFault()
	w.adopt(lives, next, now)
}

// adopt takes over what was not sealed; with the Store's lock.
func (w *worker) adopt(lives []live, next uint64, now time.Time) {
	s := w.s
	if n := len(lives); n > 0 && s.open.changes == 0 && lives[n-1].whole {
		last := lives[n-1]
		s.open, w.journal, s.began = last.generation, *last.journal, now
		w.from = w.journal.end
		lives = lives[:n-1]
		next = s.open.number
	} else if n > 0 {
		next = lives[n-1].generation.number + 1
	}
	for _, l := range lives {
		s.sealing = append(s.sealing, l.generation)
	}
	s.open.number = max(s.open.number, next)
	if s.open.changes > 0 && w.journal.generation != s.open.number {
		w.broken = s.open.number
	}
}

// readFolder returns the segments, by number, and removes what a power cut left.
func (w *worker) readFolder() (segments []*segment, err error) {
	dir := w.s.dir
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		w.setAside(dir, dir+"."+damaged, errors.New("not a folder"))
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, store.Folder(dir)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), suffix+tempSuffix) {
			_ = os.Remove(path)
		}
		if _, ok := segmentNumber(e.Name()); !ok {
			continue
		}
		f, seg, err := openSegment(path)
		if err != nil {
			if !isDamage(err) {
				return nil, err
			}
			w.setAside(path, filepath.Join(dir, damaged), err)
			continue
		}
		_ = f.Close()
		segments = append(segments, seg)
	}
	return segments, nil // ReadDir sorts, and the names are as long as each other
}

// readLive reads a journal, whose generation must be at least next.
func (w *worker) readLive(path string, next uint64) (live, error) {
	j, g, err := readJournal(path, w.s.packer)
	if err != nil {
		if !isDamage(err) {
			return live{}, err
		}
		w.setAside(path, filepath.Join(w.s.dir, damaged), err)
	}
	if g == nil || g.number < next || g.changes == 0 {
		return live{}, nil
	}
	return live{g, j, err == nil && journalPath(w.s.dir, g.number) == path}, nil
}

// isDamage reports whether an error is the file's own, and not one of the disk or of the process.
func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) ||
		errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR)
}

// setAside renames a file that is damaged. On a disk that is read-only it stays, and is left out.
func (w *worker) setAside(path, to string, why error) {
	err := os.RemoveAll(to)
	if err == nil {
		err = store.Rename(path, to)
	}
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Damaged++
	became := "set aside as " + filepath.Base(to)
	if err != nil {
		became = fmt.Sprintf("left where it is: %v", err)
	}
	s.setAside = append(s.setAside, fmt.Sprintf("%s: %v; %s", filepath.Base(path), why, became))
	s.log.Warn("a file of the history is damaged", "error", why, "file", path, "became", became)
}

// damagedChunk notes that a part of a segment could not be read.
func (s *Store) damagedChunk(seg *segment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Damaged++
	if seg.reported {
		return
	}
	seg.reported = true
	s.log.Warn("a part of the history cannot be read", "error", err, "file", segmentPath(s.dir, seg.number))
	s.setAside = append(s.setAside, fmt.Sprintf("%016x%s: %v; the rest of it is served", seg.number, suffix, err))
}
