package opcua

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

const (
	maxWaiting  = 1 << 17 // updates between the link and the mirror
	judgeEvery  = 200 * time.Millisecond
	confirmEach = time.Second // between two looks at what a loss left unconfirmed
)

// Sink is one mirror as a task.
type Sink struct {
	cfg     config.OPCUASink
	channel Channel
	log     *slog.Logger
	wake    chan struct{}
	mirror  *mirror // of Run's goroutine, as is
	cache   cache

	mu      sync.Mutex
	waiting []sink.Update
	skipped uint64 // updates that found the queue full
	why     string // the mirror is not ready
}

// Deps is what a Sink needs.
type Deps struct {
	Server  Server
	Channel Channel
}

// New prepares a sink that keeps its cache in folder.
func New(cfg config.OPCUASink, folder string, d Deps, log *slog.Logger) *Sink {
	s := &Sink{cfg: cfg, channel: d.Channel, log: log.With("channel", cfg.Channel), wake: make(chan struct{}, 1), why: "no snapshot yet"}
	s.cache.path = filepath.Join(folder, "mirror-"+cfg.Channel)
	s.mirror = newMirror(d.Server, d.Channel.Refused, s.log)
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
	if s.why != "" {
		return fmt.Errorf("mirror %s: %s", s.cfg.Channel, s.why)
	}
	return nil
}

// Status tells how the mirror stands with its clients.
func (s *Sink) Status() (sink.State, string) {
	if err := s.mirror.server.Ready(); err != nil {
		return sink.Down, err.Error()
	}
	return sink.Up, ""
}

// Stats counts what became of updates.
type Stats struct {
	Waiting  int    `gauge:"waiting_records" help:"Records that wait for the mirror now."`
	Skipped  uint64 `count:"skipped_records" help:"Records that came faster than the mirror takes them: newest values were read again after each, events were lost."`
	Unusable uint64 `count:"unusable_records" help:"Records that the mirror cannot use: malformed, or events whose table or namespaces are not there."`
}

// Counters implements counter.Source, also for the server.
func (s *Sink) Counters() []counter.Set {
	s.mu.Lock()
	st := Stats{Waiting: len(s.waiting), Skipped: s.skipped, Unusable: s.mirror.bad.Load()}
	s.mu.Unlock()
	return append(s.mirror.server.Counters(), counter.Of("opcua_mirror", s.cfg.Channel, &st))
}

// Deliver implements sink.Sink.
func (s *Sink) Deliver(u sink.Update) {
	s.mu.Lock()
	full := len(s.waiting) >= maxWaiting
	if full {
		s.skipped++
	} else {
		s.waiting = append(s.waiting, u)
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

// Run implements task.Task. The server runs beside it.
func (s *Sink) Run(ctx context.Context) error {
	s.recall()
	defer s.end()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() { ended <- s.mirror.server.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	var batch []sink.Update
	var seen uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- nil
			return err
		case now := <-tick.C:
			s.judge(now)
		case <-s.wake:
		}
		s.mu.Lock()
		batch, s.waiting = s.waiting, batch[:0]
		skipped := s.skipped
		s.mu.Unlock()
		for i := range batch {
			s.mirror.take(&batch[i])
		}
		clear(batch)
		if skipped != seen {
			seen = skipped
			s.log.Warn("updates came faster than the mirror takes them; newest values are read again, events among them are lost", "skipped", skipped)
			s.mirror.reload(s.channel)
		}
	}
}

// recall begins with the structure of the run before.
func (s *Sink) recall() {
	list, err := s.cache.load()
	if err != nil {
		s.log.Warn("mirror begins without its cache", "error", err)
	}
	for i := range list {
		if err := s.mirror.apply(&list[i]); err != nil {
			s.log.Warn("mirror begins without a part of its cache", "error", err)
		}
	}
	s.mirror.types(time.Now())
	s.mirror.changed, s.mirror.learnt = false, false
}

// judge lets the mirror tell as much as it knows of its quality.
func (s *Sink) judge(now time.Time) {
	p := s.channel
	why := s.mirror.judge(p, p.Health(), now)
	s.mu.Lock()
	s.why = why
	s.mu.Unlock()
	if m := s.mirror; m.quality.whole && s.cache.due(m.changed, m.learnt, now) {
		s.save(p, now)
	}
}

// save writes what the next run begins with.
func (s *Sink) save(p Channel, now time.Time) {
	m := s.mirror
	saved, err := s.cache.save(func() []byte { return collect(p, m.keeps) }, now)
	if saved {
		m.changed, m.learnt = false, false
	}
	if err != nil {
		s.log.Error("the address space cannot be cached; after a restart it comes over the link first", "error", err)
	}
}

// end writes what has changed since it was last written.
func (s *Sink) end() {
	s.cache.wait()
	if m := s.mirror; m.quality.whole && (m.changed || m.learnt) {
		s.save(s.channel, time.Now())
		s.cache.wait()
	}
}
