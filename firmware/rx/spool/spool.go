// Package spool is the bounded queue between the link and a sink: records wait
// in memory while the peer keeps up and on disk while it does not.
//
// Order is kept. Appending never waits for the peer nor for the disk; one
// goroutine writes. Beyond the limit the oldest records go, counted; on disk
// that is a segment at a time. A disk that is full or read-only leaves a
// smaller queue in memory, one warning, and is tried again.
//
// A record is delivered at least once: after a crash those of about the last
// second come again. What was in memory alone, or not synced yet (a second at
// most while the peer is down), is gone after a power cut: Volatile is how many
// that would be, to be kept elsewhere, and Stats.Unknown says that it happened.
// What damage took is counted too: after Close by how many waited, else by the
// trailers of the segments. A segment that cannot be read counts as one unreadable file.
// Close loses nothing but what the disk does not take, which counts as dropped.
//
// The package refuses to know what a record is, and to share its folder: the
// state directory's lock keeps other processes out. There is one consumer.
//
// # A segment file
//
// It is named by the index of its first record in 16 hexadecimal digits.
// Integers are big-endian; crc is CRC-32C (RFC 3720 appendix B.4).
//
//	header    "HGQ1"(4) crc(4) first(8)             crc over first
//	record*   length(4) crc(4) index(8) data        crc over first, length, index, data
//	trailer   ffffffff(4) crc(4) last(8) records(8) crc over first and the rest
//
// No segment has a record that belongs between two of another: by their names the
// segments are in the order of all records.
//
// A segment that has no trailer was cut short: it is read up to the first
// record that is not complete. The file "position" (package store) holds the
// index of the oldest record not delivered (8), whether a queue is open (1), and
// unless it is, how many records wait (8).
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// MaxRecord is the largest record in bytes; larger ones are dropped and counted.
const MaxRecord = 16 << 20

// Our own bounds.
const (
	memoryBytes    = 2 << 20 // of records waiting for the peer, and again of those waiting for the disk
	segmentBytes   = 1 << 20
	chunkBytes     = 256 << 10 // read from a segment at a time
	handBytes      = 1 << 20   // of records that Next returns together
	memoryOverhead = 32        // about what a record costs beside its own bytes
	syncEvery      = time.Second
	retryEvery     = 5 * time.Second // after the disk failed
)

// ErrClosed is returned by Next once the queue is closed.
var ErrClosed = errors.New("spool: closed")

// Queue is a bounded FIFO of records. Append, PeerDown and Stats are safe for
// concurrent use; Next and Done belong to one consumer.
type Queue struct {
	dir     string
	limit   int64
	segment int64 // bytes of a segment

	ready chan struct{} // there may be a record
	wake  chan struct{} // there is something to write or to remove
	stop  chan struct{}
	ended chan struct{}
	w     writer // of the goroutine run, and of Close after it

	mu sync.Mutex
	// In order, oldest first: handed out, in memory, on disk, being written, waiting to be written.
	out      fifo
	mem      fifo
	segs     []*segment
	growing  *segment // the one of them that the writer holds open
	toRemove []string // files of segments that were taken out
	batch    fifo
	tail     fifo

	end      uint64 // index of the next record
	lastRead uint64 // index of the last record that came from a segment

	unsynced     int    // records of growing that are not synced
	unsyncedFrom uint64 // index of the first of them

	bytes    int64
	records  int
	down     bool // the peer is: everything goes to disk
	closed   bool
	dropped  uint64
	damaged  uint64
	onDrop   func(n uint64)
	unknown  uint64
	badFiles uint64 // that could not be read
	fault    error
	log      *slog.Logger

	view [][]byte
}

// Stats is how full a queue is and what it lost.
type Stats struct {
	Bytes   int64  `shown:"peers.spool.bytes"` // of the records that wait, each with a small surcharge
	Limit   int64  `shown:"peers.spool.limit"`
	Records int    `shown:"peers.spool.records"`
	Dropped uint64 `shown:"peers.spool.dropped"` // records, since Open
	Damaged uint64 `shown:"peers.spool.damaged"` // … that damaged files had, not among Dropped
	// files that could not be read after a crash; how many records they hold is not known
	Unreadable uint64 `shown:"peers.spool.unreadable"`
	// times that an unknown number of records may be missing: a crash, damage
	Unknown uint64 `shown:"peers.spool.gaps"`
	Fault   string // why the disk is not used, in words; "" while it works
}

// Open makes the queue in dir, creating the folder, and takes over what an
// earlier one left there. A disk that cannot be used is not an error but a Fault.
func Open(dir string, limit int64) (*Queue, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("spool: a limit of %d bytes holds nothing; give a positive one", limit)
	}
	q := &Queue{
		dir: dir, limit: limit, segment: min(segmentBytes, max(limit/8, 1<<10)),
		ready: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}),
		log: slog.New(slog.DiscardHandler),
	}
	q.w.q = q
	q.recover()
	go q.w.run()
	return q, nil
}

// LogTo sets the log for changes of the disk's state; a fault since Open is logged at once.
func (q *Queue) LogTo(log *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log = log.With("component", "spool")
	if q.fault != nil {
		q.warnFault()
	}
	if q.badFiles > 0 {
		q.log.Warn("records lost: files of the spool cannot be read", "files", q.badFiles, "folder", q.dir)
	}
	if q.damaged > 0 {
		q.log.Warn("records lost: files of the spool are damaged", "records", q.damaged, "folder", q.dir)
	}
}

// warnFault logs that the disk cannot be used; with the lock.
func (q *Queue) warnFault() {
	q.log.Warn("records are kept in memory only; free or repair the disk", "error", q.fault, "folder", q.dir)
}

// Append adds a record and takes ownership of it.
func (q *Queue) Append(rec []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := entry{index: q.end, data: rec}
	cost := e.cost()
	if q.closed || len(rec) > MaxRecord || cost > q.limit {
		q.countDropped(1)
		return
	}
	for q.bytes+cost > q.limit && q.dropOldest() {
	}
	if q.bytes+cost > q.limit {
		q.countDropped(1)
		return
	}
	q.end++
	q.bytes += cost
	q.records++
	direct := !q.down && q.batch.len() == 0 && q.tail.len() == 0 && !q.unread()
	if direct && (q.mem.len() == 0 || q.mem.cost+cost <= memoryBytes) {
		q.mem.push(e)
	} else {
		q.tail.push(e)
		q.boundTail()
		signal(q.wake)
	}
	signal(q.ready)
}

// PeerDown sets whether the peer is away. While it is, records go to disk
// at once, those that were in memory first.
func (q *Queue) PeerDown(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down != down {
		q.down = down
		signal(q.wake)
	}
}

// Next waits for a record and returns the oldest ones, up to n and one MiB
// together; the same ones again until Done. The slice is valid until the next
// call, the records until they are Done.
func (q *Queue) Next(ctx context.Context, n int) ([][]byte, error) {
	for {
		if view, err := q.next(max(n, 1)); view != nil || err != nil {
			return view, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.ready:
		}
	}
}

// next is Next without waiting.
func (q *Queue) next(n int) ([][]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.out.len() < n && !q.closed && (q.mem.len() > 0 || q.refill()) {
		e := q.mem.all()[0]
		if q.out.len() > 0 && q.out.cost+e.cost() > handBytes {
			break
		}
		q.mem.pop()
		q.out.push(e)
	}
	if q.closed {
		return nil, ErrClosed
	}
	q.view = q.view[:0]
	for _, e := range q.out.all()[:min(n, q.out.len())] {
		q.view = append(q.view, e.data)
	}
	if len(q.view) == 0 {
		return nil, nil
	}
	return q.view, nil
}

// refill brings the next records into memory. It gives the lock up while it reads.
func (q *Queue) refill() bool {
	for i := 0; i < len(q.segs); i++ {
		s := q.segs[i]
		if s.unread == 0 {
			continue
		}
		from, to := s.offset, s.size
		q.mu.Unlock()
		entries, next, err := readRecords(s.path, s.first, from, to)
		q.mu.Lock()
		if s.offset != from { // dropped meanwhile
			i = -1
			continue
		}
		if err != nil {
			q.log.Warn("damaged segment dropped", "error", err, "file", s.path, "records", s.unread)
			q.countDamaged(q.removeUnread(s))
			q.reap()
			i = -1
			continue
		}
		s.offset = next
		s.unread -= len(entries)
		q.lastRead = entries[len(entries)-1].index
		for _, e := range entries {
			q.mem.push(e)
		}
		return true
	}
	if q.batch.len() > 0 || q.tail.len() == 0 {
		return false // what is being written will be readable in a moment
	}
	q.mem, q.tail = q.tail, q.mem
	return true
}

// Done removes the first n records that Next returned: the peer has them.
func (q *Queue) Done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed { // what comes first now may be others; they come again
		return
	}
	for range min(n, q.out.len()) {
		q.remove(q.out.pop())
	}
	q.reap()
}

// Stats returns the figures.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{Bytes: q.bytes, Limit: q.limit, Records: q.records, Dropped: q.dropped, Damaged: q.damaged,
		Unreadable: q.badFiles, Unknown: q.unknown}
	if q.fault != nil {
		s.Fault = q.fault.Error()
	}
	return s
}

// Fault returns why the disk is not used; nil while it works.
func (q *Queue) Fault() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fault
}

// Close puts what is left in memory to disk, where the next Open finds it. What the
// disk does not take is dropped: OnDrop is called, and the error says how many.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.mu.Unlock()
	close(q.stop)
	<-q.ended
	signal(q.ready)
	return q.w.close()
}

// signal wakes the reader of a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
