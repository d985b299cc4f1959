package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
		position := q.readPosition()
		for _, name := range names {
			if strings.HasSuffix(name.Name(), suffix) {
				q.recoverSegment(filepath.Join(q.dir, name.Name()), position)
			}
		}
		q.end = max(q.end, position)
		for q.bytes > q.limit && q.dropOldest() {
		}
		err = q.w.save(max(position, q.position()), true)
	}
	if err != nil {
		q.w.fail(err)
	}
}

// recoverSegment adds a file with records from position on, or removes it when there is
// none.
func (q *Queue) recoverSegment(path string, position uint64) {
	s, complete, err := openSegment(path, position)
	if !complete {
		q.unknown++
	}
	if err != nil && !errors.Is(err, errDamaged) {
		return // it may be readable at a later start
	}
	if err == nil {
		q.end = max(q.end, s.last+1)
	}
	if err != nil || s.last < position || s.unread == 0 {
		_ = os.Remove(path)
		return
	}
	q.lastRead = max(position, 1) - 1
	q.segs = append(q.segs, s)
	q.records += s.unread
	q.bytes += s.unreadCost()
	signal(q.ready)
}
