package spool

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"heliograph/firmware/platform/store"
)

const positionName = "position"

func encodePosition(position uint64, open bool) []byte {
	b := binary.BigEndian.AppendUint64(nil, position)
	if open {
		return append(b, 1)
	}
	return append(b, 0)
}

// recover takes over what an earlier queue left.
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
				q.takeOver(filepath.Join(q.dir, name.Name()), position)
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

// readPosition also counts an end that was no Close.
func (q *Queue) readPosition() uint64 {
	b, err := store.Read(filepath.Join(q.dir, positionName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil || len(b) != 9 {
		q.unknown++
		return 0
	}
	if b[8] != 0 {
		q.unknown++
	}
	return binary.BigEndian.Uint64(b)
}

func (q *Queue) takeOver(path string, position uint64) {
	s, whole, err := openSegment(path, position)
	if !whole {
		q.unknown++
	}
	if err != nil && !errors.Is(err, errDamaged) {
		return // not readable now; a later start may do better
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
