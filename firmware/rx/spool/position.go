package spool

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"heliograph/firmware/platform/store"
)

const positionName = "position"

// stillOpen stands for how many records wait while the queue is open.
const stillOpen = -1

// encodePosition returns the content of the file; the package comment draws it.
func encodePosition(position uint64, waiting int) []byte {
	b := binary.BigEndian.AppendUint64(nil, position)
	if waiting == stillOpen {
		return append(b, 1)
	}
	return binary.BigEndian.AppendUint64(append(b, 0), uint64(waiting))
}

// readPosition returns the saved position, and how many records wait from it on after a
// Close. It counts an end without.
func (q *Queue) readPosition() (position uint64, waiting int) {
	b, err := store.Read(filepath.Join(q.dir, positionName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0
	}
	switch {
	case err == nil && len(b) == 9 && b[8] == 1:
		q.unknown++
		return binary.BigEndian.Uint64(b), stillOpen
	case err == nil && len(b) == 17 && b[8] == 0:
		return binary.BigEndian.Uint64(b), int(min(binary.BigEndian.Uint64(b[9:]), math.MaxInt))
	}
	q.unknown++
	return 0, stillOpen
}

// save makes the position durable.
func (w *writer) save(position uint64, waiting int) error {
	if err := store.Folder(w.q.dir); err != nil { // Open may have failed to make it
		return err
	}
	if err := store.Write(filepath.Join(w.q.dir, positionName), encodePosition(position, waiting)); err != nil {
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

// reap takes out the segments whose records were all delivered, and has the writer remove their
// files, which a disk may take seconds for; with the lock.
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
		q.toRemove = append(q.toRemove, s.path)
		signal(q.wake)
		return true
	})
}

// removeFiles removes those of segments that were taken out.
func (w *writer) removeFiles() {
	q := w.q
	q.mu.Lock()
	paths := q.toRemove
	q.toRemove = nil
	q.mu.Unlock()
	for _, path := range paths {
		_ = os.Remove(path)
	}
}
