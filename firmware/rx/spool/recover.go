package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/firmware/platform/store"
)

// recover adds what an earlier queue left.
func (q *Queue) recover() {
	err := store.Folder(q.dir)
	var names []fs.DirEntry
	if err == nil {
		names, err = os.ReadDir(q.dir)
	}
	if err == nil {
		position, waiting := q.readPosition()
		missing := 0 // by the trailers
		names = slices.DeleteFunc(names, func(n fs.DirEntry) bool { return !strings.HasSuffix(n.Name(), suffix) })
		for i, name := range names {
			missing += q.recoverSegment(filepath.Join(q.dir, name.Name()), position, i == len(names)-1)
		}
		if waiting != stillOpen { // so it is known what is missing of files that cannot be read, too
			missing, q.badFiles = waiting-q.records, 0
		}
		q.countDamaged(max(missing, 0))
		q.end = max(q.end, position)
		for q.bytes > q.limit && q.dropOldest() {
		}
		err = q.w.save(max(position, q.position()), stillOpen)
	}
	if err != nil {
		q.w.fail(err)
	}
}

// recoverSegment adds a file with records from position on, or removes it when there is
// none. It returns how many records are known to be missing from it. The newest may have
// been begun as the run before crashed.
func (q *Queue) recoverSegment(path string, position uint64, newest bool) (missing int) {
	s, complete, err := openSegment(path, position)
	if !complete {
		q.unknown++
	}
	damaged := errors.Is(err, errDamaged)
	if err != nil && !(damaged && newest) {
		q.badFiles++
	}
	if err != nil && !damaged {
		return 0 // it may be readable at a later start
	}
	if err == nil {
		q.end, missing = max(q.end, s.last+1), s.missing
	}
	if err != nil || s.last < position || s.unread == 0 {
		_ = os.Remove(path)
		return missing
	}
	q.lastRead = max(position, 1) - 1
	q.segs = append(q.segs, s)
	q.records += s.unread
	q.bytes += s.unreadCost()
	signal(q.ready)
	return missing
}
