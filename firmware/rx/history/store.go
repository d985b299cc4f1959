package history

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/platform/counter"
)

// Our own bounds.
const (
	MinBytes = 1 << 20 // of Limits

	fullBytes     = 4 << 20 // of keys and entries, at which a generation is sealed; less where Limits are small
	shareOfDisk   = 16      // that is at most one in so many of Limits.Bytes
	maxGeneration = 3 * fullBytes
	maxStream     = 1 << 17 // changes of a stream, at which a generation is sealed
	maxMemory     = 7 * fullBytes
)

// Limits say what a Store keeps.
type Limits struct {
	// Age is how long, by the source's time. A segment goes when its newest change is
	// older and has been so for hours, so some are kept up to a day and a half longer.
	Age   time.Duration
	Bytes int64 // on disk, at least MinBytes
}

// Store is the history of one channel. It is a task.Task and a counter.Source, and
// safe for concurrent use. It takes 10 to 15 MB of memory, and up to 40 while the disk is slow or fails.
type Store struct {
	dir    string
	limits Limits
	log    *slog.Logger
	packer *packer
	now    func() time.Time
	ran    func() time.Duration // since Open, by no clock that is set
	full   int64                // bytes of a generation at which it is sealed
	most   int64                // bytes in memory
	wake   chan struct{}

	work worker // under its own lock, which is taken before mu

	mu       sync.Mutex
	segments []*segment    // by number
	sealing  []*generation // oldest first
	open     *generation
	began    time.Time // of the first change in open
	given    uint64    // changes so far, those included that are not kept
	durable  uint64    // of them, those that a power cut does not cost
	closed   bool
	stats    Stats
	fault    error
	setAside []string
}

// Stats is how much a Store holds and what became of what it was given.
type Stats struct {
	Added      uint64 `count:"added_changes" help:"Values and events that were added to the history."`
	Duplicates uint64 `count:"repeated_changes" help:"Values and events that came once more, one after the other."`
	Dropped    uint64 `count:"dropped_changes" help:"Values and events not kept: the disk is full, read-only or slow."`
	Refused    uint64 `count:"refused_changes" help:"Values and events not kept: over 1 MiB, or too many at one time."`
	Expired    uint64 `count:"expired_changes" help:"Values and events removed by age or size."`
	Damaged    uint64 `count:"damaged_parts" help:"Files and parts of files of the history that could not be read."`
	Written    uint64 `count:"written_bytes" help:"Bytes written to the disk, in pages of 4096."`
	Changes    uint64 `gauge:"changes" help:"Values and events in the history, repeated ones included."`
	Bytes      uint64 `gauge:"disk_bytes" help:"Size of the history on disk."`
	Memory     uint64 `gauge:"memory_bytes" help:"Size of the changes in memory, which are not in a segment yet."`
	Segments   uint64 `gauge:"segments" help:"Sealed files of the history."`
}

// Open takes over the history in dir, which is named like the channel, or begins one. A
// disk that cannot be used is not an error but a fault, which Ready returns; what is
// damaged is set aside: see Damaged.
func Open(dir string, l Limits, log *slog.Logger) (*Store, error) {
	if l.Age <= 0 || l.Bytes < MinBytes {
		return nil, fmt.Errorf("history: keeping %v in %d bytes: give an age, and at least %d bytes", l.Age, l.Bytes,
			MinBytes)
	}
	return open(dir, l, log, time.Now)
}

func open(dir string, l Limits, log *slog.Logger, now func() time.Time) (*Store, error) {
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	opened := time.Now()
	s := &Store{
		dir: dir, limits: l, log: log.With("component", "history"), packer: p, now: now,
		ran:  func() time.Duration { return time.Since(opened) },
		full: min(fullBytes, l.Bytes/shareOfDisk), most: maxMemory,
		wake: make(chan struct{}, 1), open: newGeneration(1),
	}
	s.work.s = s
	s.work.mu.Lock()
	defer s.work.mu.Unlock()
	s.work.recover(now())
	return s, nil
}

// AddValue adds a value of a node. It keeps neither slice and does not wait for the disk. The error
// says why the value is not kept; it is counted.
func (s *Store) AddValue(node []byte, at time.Time, value []byte) error {
	var key [1 + 256]byte
	return s.add(append(append(key[:0], ofValues), node...), at, value)
}

// AddEvent adds an event, as AddValue adds a value.
func (s *Store) AddEvent(at time.Time, payload []byte) error {
	return s.add([]byte{ofEvents}, at, payload)
}

// HasRoom reports whether there is room in memory for changes that can come later as well: half of
// it is for those of the present.
func (s *Store) HasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory() < s.most/2
}

var (
	errRefused = errors.New("history: larger than 1 MiB, or too many at one time")
	errNoRoom  = errors.New("history: no room in memory until the disk has taken what is there")
)

// Progress returns how many values and events were added since Open, and how many of them, the first
// ones, a power cut does not cost: they are on the disk, or were counted as not kept.
func (s *Store) Progress() (given, durable uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given, s.durable
}

func (s *Store) add(key []byte, at time.Time, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given++
	switch {
	case len(value) > maxValue || len(key) > maxNode+1:
		s.stats.Refused++
		return errRefused
	case s.closed || !s.room(int64(2*len(value)+len(key)+streamCost)):
		s.stats.Dropped++
		return errNoRoom
	}
	switch s.open.add(key, ticksOf(at), value) {
	case duplicate:
		s.stats.Duplicates++
		return nil
	case refused:
		s.stats.Refused++
		return errRefused
	}
	s.stats.Added++
	if s.open.changes == 1 {
		s.began = s.now()
	}
	if s.open.isFull(s.full) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// room makes room in memory for a change and reports whether there is any; with the lock. While the
// disk fails the oldest changes go, a generation at a time.
func (s *Store) room(cost int64) bool {
	if s.memory()+cost <= s.most {
		return true
	}
	if s.fault == nil {
		return false
	}
	if len(s.sealing) == 0 {
		s.rotate()
	}
	s.stats.Dropped += s.sealing[0].changes
	s.sealing = s.sealing[1:]
	return s.memory()+cost <= s.most
}

// memory is what is in memory, in bytes; with the lock.
func (s *Store) memory() int64 {
	n := s.open.cost()
	for _, g := range s.sealing {
		n += g.cost()
	}
	return n
}

// rotate begins a generation; with the lock.
func (s *Store) rotate() {
	s.open.given = s.given
	s.sealing = append(s.sealing, s.open)
	s.open = newGeneration(s.open.number + 1)
}

// Span returns the times of the oldest and of the newest change, and false when there is none.
func (s *Store) Span() (oldest, newest time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := nothing
	for _, seg := range s.segments {
		all.include(seg.span)
	}
	for _, g := range s.sealing {
		all.include(g.span)
	}
	all.include(s.open.span)
	if all.first > all.last {
		return time.Time{}, time.Time{}, false
	}
	return timeOf(all.first), timeOf(all.last), true
}

// Stats returns the counts since Open and the present size.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Segments, st.Memory = uint64(len(s.segments)), uint64(s.memory())
	for _, seg := range s.segments {
		st.Changes += seg.changes
		st.Bytes += uint64(seg.size)
	}
	for _, g := range s.sealing {
		st.Changes += g.changes
	}
	st.Changes += s.open.changes
	return st
}

// Counters implements counter.Source. The folder's name is the channel's.
func (s *Store) Counters() []counter.Set {
	return []counter.Set{counter.Of("history", filepath.Base(s.dir), s.Stats())}
}

// Damaged says what was set aside since Open, a line each, for the audit. It returns each once.
func (s *Store) Damaged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.setAside
	s.setAside = nil
	return lines
}
