// Package carousel keeps the newest state of a channel and cuts it into pages.
//
// Pages are sent for ever in the capacity that live traffic leaves, so that a
// receiver which starts late, or lost something beyond repair, has all state
// after one round from wherever it came in. The package is pure: it refuses to
// decide when a page is sent, and to find an entry by its key: the caller keeps
// an index. The page format is package record's.
package carousel

import (
	"cmp"
	"slices"

	"heliograph/firmware/conduit/record"
)

// Table is the state of one channel as it was sent. The zero value is an empty
// table. Not safe for concurrent use.
type Table struct {
	order   []*Entry // by creation; deleted ones stay until they outnumber the others
	deleted int
	hash    uint64
	bytes   int // of keys and values

	scratch []byte // entries of the page being made
}

// Entry is a key of a table with its newest value.
type Entry struct {
	key     []byte
	payload []byte
	time    int64
	seq     uint64 // 0: deleted
	created uint64
}

// Our own choices.
const (
	keepScratch = 64 << 10 // bytes of the buffer that stays between large pages
	keepDeleted = 64       // entries beyond which deleted ones are removed
)

// Created returns the sequence number at which the key was created.
func (e *Entry) Created() uint64 { return e.created }

// Bytes returns the bytes of the key and its value.
func (e *Entry) Bytes() int { return len(e.key) + len(e.payload) }

// Len returns the number of keys.
func (t *Table) Len() int { return len(t.order) - t.deleted }

// Bytes returns the bytes of all keys and values.
func (t *Table) Bytes() int { return t.bytes }

// Create adds a key that the table does not have, and keeps both slices. seq
// must be higher than of all calls before.
func (t *Table) Create(key, payload []byte, time int64, seq uint64) *Entry {
	e := &Entry{key: key, payload: payload, time: time, seq: seq, created: seq}
	t.order = append(t.order, e)
	t.hash += record.KeyHash(key, seq)
	t.bytes += e.Bytes()
	return e
}

// Update makes payload the newest value of an entry, and keeps it. seq must be
// higher than of all calls before.
func (t *Table) Update(e *Entry, payload []byte, time int64, seq uint64) {
	t.bytes += len(payload) - len(e.payload)
	e.payload, e.time, e.seq = payload, time, seq
}

// Delete removes an entry, which must not be used afterwards.
func (t *Table) Delete(e *Entry) {
	t.hash -= record.KeyHash(e.key, e.created)
	t.bytes -= e.Bytes()
	e.seq, e.payload, e.key = 0, nil, nil
	if t.deleted++; t.deleted > t.Len()+keepDeleted {
		t.order = slices.DeleteFunc(t.order, func(e *Entry) bool { return e.seq == 0 })
		t.deleted = 0
	}
}

// Range calls f with every key and its value, oldest key first, until f
// returns false.
func (t *Table) Range(f func(key, payload []byte) bool) {
	for _, e := range t.order {
		if e.seq != 0 && !f(e.key, e.payload) {
			return
		}
	}
}

// AppendPage appends the page of the keys created after from, at most about size
// bytes, but always at least one entry if there is one. seq is the channel's
// last sequence number. to is where the next page begins; last is true when
// there is nothing after this page.
func (t *Table) AppendPage(dst []byte, channel uint16, seq, from uint64, size int) (page []byte, to uint64, last bool) {
	first, _ := slices.BinarySearchFunc(t.order, from+1, func(e *Entry, created uint64) int {
		return cmp.Compare(e.created, created)
	})
	head := record.Page{Channel: channel, Last: true, Seq: seq, From: from, To: seq}
	room := size - len(record.AppendPage(t.scratch[:0], &head)) // none is longer
	run, end, body := record.Run{Created: from}, first, t.scratch[:0]
	for ; end < len(t.order); end++ {
		e := t.order[end]
		if e.seq == 0 {
			continue
		}
		r, before := e.record(), len(body)
		if body = run.AppendEntry(body, &r); len(body) > room && before > 0 {
			body = body[:before]
			break
		}
	}
	if last = end == len(t.order); !last {
		head.Last, head.To = false, t.order[end-1].created
	}
	if t.scratch = body; cap(body) > keepScratch {
		t.scratch = nil
	}
	return append(record.AppendPage(dst, &head), body...), head.To, last
}

func (e *Entry) record() record.Entry {
	return record.Entry{Seq: e.seq, Created: e.created, Time: e.time, Key: e.key, Payload: e.payload}
}

// Manifest states the set of keys at seq.
func (t *Table) Manifest(channel uint16, seq uint64, partial bool) record.Manifest {
	return record.Manifest{Channel: channel, Partial: partial, Seq: seq, Keys: uint64(t.Len()), Hash: t.hash}
}
