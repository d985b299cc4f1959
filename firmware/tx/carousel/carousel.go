// Package carousel keeps the newest state of a channel and cuts it into pages.
//
// Pages are sent for ever in the capacity that live traffic leaves, so that a
// receiver which starts late, or lost something beyond repair, has all state
// after one round from wherever it came in. The package is pure: it refuses to
// decide when a page is sent. The page format is package record's.
package carousel

import (
	"slices"

	"heliograph/firmware/conduit/record"
)

// Table is the state of one channel as it was sent. The zero value is an empty
// table. Not safe for concurrent use.
type Table struct {
	byKey map[string]*entry
	order []*entry // by birth; the dead stay until they outnumber the living
	dead  int
	hash  uint64
	bytes int // of live keys and values

	scratch []byte // entries of the page being made
}

type entry struct {
	key     []byte
	payload []byte
	time    int64
	seq     uint64 // 0: dead
	born    uint64
}

// Len returns the number of live keys.
func (t *Table) Len() int { return len(t.byKey) }

// Born returns the birth of a key, its first sequence number; 0 if it is new.
func (t *Table) Born(key []byte) uint64 {
	if e := t.byKey[string(key)]; e != nil {
		return e.born
	}
	return 0
}

// Bytes returns the bytes of all keys and values.
func (t *Table) Bytes() int { return t.bytes }

// Size returns the bytes of a key and its value, and whether the key is live.
func (t *Table) Size(key []byte) (bytes int, live bool) {
	e := t.byKey[string(key)]
	if e == nil {
		return 0, false
	}
	return len(e.key) + len(e.payload), true
}

// Set makes payload the newest value of a key, keeps both slices, and returns
// the key's birth. seq must be higher than of all calls before.
func (t *Table) Set(key, payload []byte, time int64, seq uint64) (born uint64) {
	e := t.byKey[string(key)]
	if e == nil {
		if t.byKey == nil {
			t.byKey = make(map[string]*entry)
		}
		e = &entry{key: key, born: seq}
		t.byKey[string(key)] = e
		t.order = append(t.order, e)
		t.hash += record.KeyHash(key, seq)
		t.bytes += len(key)
	}
	t.bytes += len(payload) - len(e.payload)
	e.payload, e.time, e.seq = payload, time, seq
	return e.born
}

// Delete forgets a key. A key that is not there is no error.
func (t *Table) Delete(key []byte) {
	e := t.byKey[string(key)]
	if e == nil {
		return
	}
	delete(t.byKey, string(key))
	t.hash -= record.KeyHash(key, e.born)
	t.bytes -= len(e.key) + len(e.payload)
	e.seq, e.payload, e.key = 0, nil, nil
	if t.dead++; t.dead > len(t.byKey)+64 {
		t.order = slices.DeleteFunc(t.order, func(e *entry) bool { return e.seq == 0 })
		t.dead = 0
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

// AppendPage appends the page that follows the birth from, at most about size
// bytes, but always at least one entry if there is one. seq is the channel's
// last sequence number. to is where the next page begins; last is true when
// there is nothing behind this page.
func (t *Table) AppendPage(dst []byte, channel uint16, seq, from uint64, size int) (page []byte, to uint64, last bool) {
	first, _ := slices.BinarySearchFunc(t.order, from+1, func(e *entry, born uint64) int {
		switch {
		case e.born < born:
			return -1
		case e.born > born:
			return 1
		}
		return 0
	})
	head := record.Page{Channel: channel, Last: true, Seq: seq, From: from, To: seq}
	room := size - len(record.AppendPage(t.scratch[:0], &head)) // none is longer
	run, end, body := record.Run{Born: from}, first, t.scratch[:0]
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
		head.Last, head.To = false, t.order[end-1].born
	}
	if t.scratch = body; cap(body) > keepScratch {
		t.scratch = nil
	}
	return append(record.AppendPage(dst, &head), body...), head.To, last
}

// keepScratch bounds the buffer that stays between large pages.
const keepScratch = 64 << 10

func (e *entry) record() record.Entry {
	return record.Entry{Seq: e.seq, Born: e.born, Time: e.time, Key: e.key, Payload: e.payload}
}

// Manifest states the set of keys at seq.
func (t *Table) Manifest(channel uint16, seq uint64, partial bool) record.Manifest {
	return record.Manifest{Channel: channel, Partial: partial, Seq: seq, Keys: uint64(len(t.byKey)), Hash: t.hash}
}
