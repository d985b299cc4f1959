// Package mqtt publishes what crossed to a broker on the IT side, theirs or an
// embedded one: the same topic behind a prefix, the same payload, QoS, retain
// flag and properties, in order.
//
// A record leaves the queue once the broker acknowledged it (QoS 0: once it was
// written). After every connect the order is: what was queued before the
// connect, then the whole retained picture as it stood at the connect, then what
// came since. So an emptied broker fills, and no older value ever follows a
// newer one. A connection that breaks leaves open what the broker has: those
// messages are published again, whatever their QoS, hence at least once.
//
// The package refuses to subscribe to anything, to interpret a payload, and to
// change a message, except where the broker leaves no choice: on 3.1.1
// properties stay behind, and a broker that offers less QoS gets less; both are counted.
//
// The gateway's own state stands beside it, retained:
//
//	<prefix>heliograph/<pair>/status   JSON
//	<prefix>heliograph/<pair>/state    "online", or "offline" from the will
//
// A record in the queue is
//
//	kind(1): 0 message, 1 state, 2 deletion
//	run(8)      the process that queued it, by the time it began
//	number(8)   rises by one per record of a run
//	message, or the key of a deletion
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// Our own bounds.
const (
	dialTime   = 10 * time.Second
	writeTime  = 20 * time.Second
	ackTime    = 30 * time.Second // without any acknowledgement a connection is given up
	keepAlive  = 15 * time.Second
	retryMin   = time.Second
	retryMax   = 30 * time.Second
	retryStuck = time.Second      // when it is one message that breaks connections
	steady     = 10 * time.Second // a connection that held so long starts the back-off anew
	batch      = 512              // records looked at together
	window     = 512              // messages of QoS 1 and 2 that are not acknowledged yet
	writeBytes = 64 << 10         // written together
	refresh    = 3 * time.Second  // between looks at the gateway's state
	giveUp     = 8                // connections that break over the same record before it is dropped
	alone      = 4                // of them before it is sent by itself
)

// Queue keeps what was not published yet; package spool's has these methods.
type Queue interface {
	Append(rec []byte)
	Next(ctx context.Context, n int) ([][]byte, error)
	Done(n int)
	PeerDown(down bool)
	Stats() spool.Stats
}

// Deps is what a sink is given.
type Deps struct {
	Queue   Queue
	Channel func() sink.Channel // may return nil before Run
	Pair    string
	Gateway func() []byte                                     // JSON of the gateway's state; nil: none
	Verify  func(name, password string, from netip.Addr) bool // users of the embedded broker; nil: anybody may read
	Brokers int                                               // embedded ones of the role, which share a budget; 0 is 1
}

// Stats is what a sink has done.
type Stats struct {
	Published  uint64 `count:"published_messages" help:"Messages off the queue that the broker has."`
	Picture    uint64 `count:"repeated_messages" help:"Retained messages published again after a connect."`
	Expired    uint64 `count:"expired_messages" help:"Messages not published because their time was over."`
	Superseded uint64 `count:"superseded_messages" help:"Queued states that a newer value made needless."`
	Stripped   uint64 `count:"stripped_messages" help:"Messages published without their properties, which MQTT 3.1.1 cannot carry."`
	Lowered    uint64 `count:"lowered_messages" help:"Messages published with a lower QoS or without the retain flag, as the broker demands."`
	Unreadable uint64 `count:"unreadable_records" help:"Records that are not MQTT messages."`
	Refusals
}

// Sink publishes one channel.
type Sink struct {
	cfg   config.MQTTSink
	deps  Deps
	log   *slog.Logger
	dial  func(ctx context.Context) (connection, error)
	peer  string // as the log names it
	run   uint64
	clock func() time.Time

	number atomic.Uint64 // of the last record of this run

	published, picture, expired, superseded, stripped, lowered, unreadable atomic.Uint64
	refusals                                                               [reasons]atomic.Uint64

	embedded *embedded

	mu     sync.Mutex
	state  sink.State
	reason string

	warned      map[string]bool // kinds of warnings, and refused topics
	lastRefusal string
}

// New reads the certificates; it connects nothing yet.
func New(cfg config.MQTTSink, deps Deps, log *slog.Logger) (*Sink, error) {
	s := &Sink{cfg: cfg, deps: deps, log: log, clock: time.Now, reason: "not connected yet", warned: map[string]bool{}}
	s.run = uint64(s.clock().UnixNano())
	address := cfg.Broker
	if cfg.Listen != "" {
		address = cfg.Listen
	}
	u, err := url.Parse(address)
	if err != nil || u.Port() == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return nil, fmt.Errorf("mqtt: %q: write mqtt:// or mqtts://host:port", address)
	}
	if cfg.Listen != "" {
		return s, s.embed(u)
	}
	s.peer = "broker " + u.Host
	d := &dialer{sink: s, address: u.Host}
	if u.Scheme == "mqtts" {
		if d.tls, err = cfg.TLS.Client(u.Hostname()); err != nil {
			return nil, fmt.Errorf("mqtt: %q: %v", address, err)
		}
	}
	s.dial = d.connect
	return s, nil
}

// Run publishes until ctx ends, connecting again whenever it must.
func (s *Sink) Run(ctx context.Context) error {
	wait, fruitless := retryMin, 0
	for ctx.Err() == nil {
		began := time.Now()
		progress, err := s.session(ctx, fruitless)
		if ctx.Err() != nil || errors.Is(err, spool.ErrClosed) {
			return nil
		}
		s.deps.Queue.PeerDown(true)
		s.set(sink.Down, fmt.Sprintf("%s: %v", s.peer, err))
		switch {
		case progress == stuck:
			fruitless++
		case progress == moved:
			fruitless = 0
		}
		if time.Since(began) > steady {
			wait = retryMin
		}
		if progress == stuck { // it is there; the other messages wait
			wait = min(wait, retryStuck)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, retryMax)
	}
	return nil
}

// session is one connection. fruitless says how many before it broke over the
// record that is now the oldest.
func (s *Sink) session(ctx context.Context, fruitless int) (progress, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return idle, err
	}
	p := newPublisher(s, conn, fruitless)
	s.deps.Queue.PeerDown(false)
	s.set(sink.Up, conn.note())
	err = p.work(ctx)
	conn.close(ctx.Err() != nil)
	return p.progress(), err
}

func (s *Sink) set(state sink.State, reason string) {
	s.mu.Lock()
	changed := s.state != state
	s.state, s.reason = state, reason
	s.mu.Unlock()
	if changed {
		s.log.Info("mqtt "+s.peer, "channel", s.cfg.Channel, "state", state.String(), "reason", reason)
	}
}

// once warns the first time that something of its kind happens.
func (s *Sink) once(what string, args ...any) {
	s.mu.Lock()
	seen := s.warned[what]
	s.warned[what] = true
	s.mu.Unlock()
	if !seen {
		s.log.Warn(what, append([]any{"channel", s.cfg.Channel}, args...)...)
	}
}

// Status tells how the sink stands with its broker.
func (s *Sink) Status() (sink.State, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.refusalStats().Refused()
	if s.state != sink.Up || n == 0 {
		return s.state, s.reason
	}
	refusals := fmt.Sprintf("the broker refused %d messages, the last one to %s", n, s.lastRefusal)
	if s.reason != "" {
		refusals = s.reason + "; " + refusals
	}
	return s.state, refusals
}

// Ready returns nil while the broker is connected.
func (s *Sink) Ready() error {
	if state, reason := s.Status(); state != sink.Up {
		return errors.New(reason)
	}
	return nil
}

func (s *Sink) String() string { return "mqtt sink " + s.cfg.Channel }

// Stats returns the counters.
func (s *Sink) Stats() Stats {
	return Stats{
		Published: s.published.Load(), Picture: s.picture.Load(), Expired: s.expired.Load(), Superseded: s.superseded.Load(),
		Stripped: s.stripped.Load(), Lowered: s.lowered.Load(), Unreadable: s.unreadable.Load(), Refusals: s.refusalStats(),
	}
}

// Counters implements counter.Source.
func (s *Sink) Counters() []counter.Set {
	st := s.Stats()
	sets := []counter.Set{counter.Of("mqtt_sink", s.cfg.Channel, &st)}
	if e := s.embedded; e != nil {
		if server := e.current.Load(); server != nil {
			b := server.Stats()
			sets = append(sets, counter.Of("mqtt_broker", s.cfg.Channel, &b))
		}
	}
	return sets
}
