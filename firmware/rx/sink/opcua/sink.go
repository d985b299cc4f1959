package opcua

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

const (
	maxQueued    = 1 << 17 // updates between link and mirror
	qualityEvery = 200 * time.Millisecond
	confirmEvery = time.Second // between searches for values that a loss left unconfirmed
)

// Sink is one mirror as a task.
type Sink struct {
	cfg     config.OPCUASink
	channel Channel
	log     *slog.Logger
	wake    chan struct{}
	mirror  *mirror // for Run's goroutine, as is
	cache   cache

	mu       sync.Mutex
	queue    []sink.Update
	spare    []sink.Update   // the queue's other buffer
	skipped  uint64          // updates that found the queue full
	deleted  map[string]bool // keys whose deletion did, and is not applied yet; at most maxQueued
	applying uint64          // updates that are applied now
	handled  uint64          // updates that were
	durable  uint64          // of them, those that a power cut does not cost
	next     mark            // that durable moves to
	notReady string          // why the mirror is not ready; "" if it is

	structured bool // the address space is complete
}

// Deps is what a Sink needs.
type Deps struct {
	Server  Server
	Channel Channel
	History *History // nil: none is kept
}

// New returns a sink that keeps its cache in folder.
func New(cfg config.OPCUASink, folder string, d Deps, log *slog.Logger) *Sink {
	s := &Sink{cfg: cfg, channel: d.Channel, log: log.With("component", "opcua sink", "channel", cfg.Channel),
		wake:     make(chan struct{}, 1),
		notReady: "no snapshot yet"}
	s.cache.path = filepath.Join(folder, "mirror-"+cfg.Channel)
	s.mirror = newMirror(d.Server, d.History, d.Channel.Refused, s.log)
	return s
}

// String implements task.Task.
func (s *Sink) String() string { return "opcua sink " + s.cfg.Channel }

// Ready implements task.Task.
func (s *Sink) Ready() error {
	if err := s.mirror.server.Ready(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notReady != "" {
		return cause.New(cause.Incomplete, fmt.Errorf("mirror %s: %s", s.cfg.Channel, s.notReady))
	}
	return nil
}

// Status returns the state of the server.
func (s *Sink) Status() (sink.State, string) {
	if err := s.mirror.server.Ready(); err != nil {
		return sink.Down, err.Error()
	}
	return sink.Up, ""
}

// Clients returns the sessions of the server.
func (s *Sink) Clients() (list []sink.Client) {
	for _, c := range s.mirror.server.Clients() {
		list = append(list, sink.Client(c))
	}
	return list
}

// Stats counts updates.
type Stats struct {
	Waiting  int    `gauge:"waiting_records" help:"Records queued for the mirror now."`
	Skipped  uint64 `count:"skipped_records" help:"Records that found the queue full; events were lost."`
	Unusable uint64 `count:"unusable_records" help:"Malformed records, and events of unknown tables or generations."`
	History  uint64 `count:"unreadable_history_events" help:"Events of the history that could not be read."`
}

// Counters implements counter.Source, also for the server.
func (s *Sink) Counters() []counter.Set {
	s.mu.Lock()
	st := Stats{Waiting: len(s.queue), Skipped: s.skipped, Unusable: s.mirror.unusable.Load()}
	s.mu.Unlock()
	if h := s.mirror.history; h != nil {
		st.History = h.unreadable.Load()
	}
	return append(s.mirror.server.Counters(), counter.Of("opcua_mirror", s.cfg.Channel, &st))
}

// Deliver implements sink.Sink. A late record has no place without a history: its time is
// over, and it counts as expired. A value for whose successor there was no room stays, and
// updateQuality has it Uncertain.
func (s *Sink) Deliver(u sink.Update) {
	if u.Valueless {
		return
	}
	if u.Late && s.mirror.history == nil {
		s.channel.Expired(1)
		return
	}
	s.mu.Lock()
	full := len(s.queue) >= maxQueued
	if full {
		s.skip(&u)
	} else {
		s.queue = append(s.queue, u)
	}
	s.mu.Unlock()
	if full {
		s.channel.Refused(1)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// skip counts an update that found the queue full, and records a deletion. mu is held.
func (s *Sink) skip(u *sink.Update) {
	s.skipped++
	if u.Key == nil || !u.Delete || u.Late || len(s.deleted) >= maxQueued {
		return
	}
	if s.deleted == nil {
		s.deleted = map[string]bool{}
	}
	s.deleted[string(u.Key)] = true
}

// Run implements task.Task. It runs the server, too.
func (s *Sink) Run(ctx context.Context) error {
	s.loadCache()
	defer s.flushCache()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() { ended <- s.mirror.server.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	tick := time.NewTicker(qualityEvery)
	defer tick.Stop()
	var seen uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- nil
			return err
		case now := <-tick.C:
			s.updateQuality(now)
		case <-s.wake:
		}
		seen = s.applyQueued(seen)
	}
}

// applyQueued applies what was delivered. If updates found the queue full since seen it applies the
// state of the channel again; it returns how many did so far.
func (s *Sink) applyQueued(seen uint64) (skipped uint64) {
	skipped = s.handleQueued()
	if skipped != seen {
		s.log.Warn("queue full; reading all values again, events are lost", "skipped", skipped)
		s.mirror.reload(s.channel)
		s.applyDeletions()
	}
	return skipped
}

// applyDeletions applies the deletions that found the queue full, except of keys that are set again:
// the state of the channel does not show them.
func (s *Sink) applyDeletions() {
	s.mu.Lock()
	deleted := s.deleted
	s.deleted = nil
	s.mu.Unlock()
	if len(deleted) == 0 {
		return
	}
	s.channel.States(func(u sink.Update) bool {
		delete(deleted, string(u.Key))
		return true
	})
	for key := range deleted {
		_ = s.mirror.apply(&sink.Update{Key: []byte(key), Delete: true}) // counted when it found the queue full
	}
}

// handleQueued applies what was delivered, and returns how many updates found the queue full so
// far.
func (s *Sink) handleQueued() (skipped uint64) {
	s.mu.Lock()
	batch := s.queue
	s.queue, s.spare = s.spare[:0], nil
	s.applying = uint64(len(batch)) // for Volatile, which is asked meanwhile
	skipped = s.skipped
	s.mu.Unlock()
	for i := range batch {
		s.mirror.handleUpdate(&batch[i])
	}
	clear(batch)
	s.mu.Lock()
	s.spare = batch
	s.handled, s.applying = s.handled+uint64(len(batch)), 0
	s.mu.Unlock()
	return skipped
}

// Drain applies what was delivered after Run ended, so that the history has it.
func (s *Sink) Drain() {
	if s.mirror.history != nil {
		s.handleQueued()
	}
}

// Volatile returns how many updates a power cut would cost: those that wait, and those that the
// history may not have on the disk. Without a history nothing is kept that could be lost.
func (s *Sink) Volatile() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveDurable()
	return uint64(len(s.queue)) + s.applying + s.handled - s.durable
}

// AcceptsLate reports whether late records can be kept now: the structure is here that says of which
// node a value is, and queue and history have room for live records besides. The others are sent again.
func (s *Sink) AcceptsLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.structured && len(s.queue) < maxQueued/4 && s.mirror.history.store.HasRoom()
}

// loadCache applies the cached structure.
func (s *Sink) loadCache() {
	list, err := s.cache.load()
	if err != nil {
		s.log.Warn("cache not loaded", "error", err)
	}
	for i := range list {
		if err := s.mirror.apply(&list[i]); err != nil {
			s.log.Warn("part of the cache not loaded", "error", err)
		}
	}
	s.mirror.updateTypes(time.Now())
	s.mirror.structureChanged, s.mirror.metadataChanged = false, false
}

// updateQuality updates the quality of the mirror, and saves the cache when it is due.
func (s *Sink) updateQuality(now time.Time) {
	ch := s.channel
	why := s.mirror.updateQuality(ch, ch.Health(), now)
	s.mu.Lock()
	s.notReady = why
	s.structured = s.mirror.quality.wasComplete && s.mirror.next == nil
	s.moveDurable()
	s.mu.Unlock()
	s.cacheWritten(s.cache.result())
	if m := s.mirror; m.quality.wasComplete && s.cache.isDue(m.structureChanged, m.metadataChanged, now) {
		s.saveCache(ch, now)
	}
}

// mark is how far the history had come when so many updates were handled.
type mark struct{ handled, given uint64 }

// moveDurable moves durable to the mark, once what it counts is on the disk, and sets the next
// one. The lock is held: what is handled was given before.
func (s *Sink) moveDurable() {
	if s.mirror.history == nil {
		return
	}
	given, durable := s.mirror.history.store.Progress()
	if durable == given {
		s.next = mark{s.handled, given}
	}
	if durable >= s.next.given {
		s.durable, s.next = s.next.handled, mark{s.handled, given}
	}
}

// saveCache writes the cache in the background.
func (s *Sink) saveCache(ch Channel, now time.Time) {
	m := s.mirror
	if s.cache.save(func() []byte { return collect(ch, m.isCached) }, now) {
		m.structureChanged, m.metadataChanged = false, false
	}
}

// cacheWritten has the cache written again, in saveEvery, if a write ended with an error; it logs the
// first of several errors, and the end of them.
func (s *Sink) cacheWritten(ended bool, err error) {
	if !ended {
		return
	}
	switch {
	case err != nil && !s.cache.failed:
		s.log.Error("address space not cached", "error", err, "retry", saveEvery)
	case err == nil && s.cache.failed:
		s.log.Info("address space cached again")
	}
	s.cache.failed = err != nil
	s.mirror.structureChanged = s.mirror.structureChanged || err != nil
}

// flushCache writes pending changes of the cache, those of a write that failed too, and waits.
func (s *Sink) flushCache() {
	s.cacheWritten(s.cache.wait())
	if m := s.mirror; m.quality.wasComplete && (m.structureChanged || m.metadataChanged) {
		s.saveCache(s.channel, time.Now())
		s.cacheWritten(s.cache.wait())
	}
}
