package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// Our own bounds.
const (
	dialTime   = 10 * time.Second
	writeTime  = 20 * time.Second // for partBytes
	endTime    = 2 * time.Second  // for what is written at the end
	ackTime    = 30 * time.Second // without any acknowledgement a connection is closed
	keepAlive  = 15 * time.Second
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	batch      = 512             // records read off the queue together
	window     = 512             // messages of QoS 1 and 2 that are not acknowledged yet
	writeBytes = 64 << 10        // written together
	partBytes  = 16 << 10        // of that at a time, and what the kernel accepts and has not sent yet
	refresh    = 3 * time.Second // between checks of the gateway's state

	steadyAfter = 10 * time.Second // a connection that held this long resets the back-off
	maxFailures = 8                // connections that break over the same message before it is dropped
	aloneAfter  = 4                // of them before it is sent by itself
	leftFor     = time.Hour        // that a topic is left out over which connections broke
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
	Channel sink.Channel // nil: no state, no account
	Gateway Gateway
	Verify  func(name, password string, from netip.Addr) bool // users of the embedded broker; nil: everyone may read
	Brokers int                                               // embedded ones of the role, which share a budget; 0 is 1
	// PlantTime returns what the clock shows that messages were stamped by: the time that is left
	// to them is by the clock of their reception, which may differ from this machine's. nil: this
	// machine's.
	PlantTime func() time.Time
}

// Gateway is the gateway's own state, which is published beside what crosses.
type Gateway struct {
	// Prefix is what its topics begin with: "heliograph/press-hall/". "": nothing of the
	// gateway is published here.
	Prefix string
	// Reserved are the prefixes of all channels, which may have one broker under several
	// names. Nothing that crosses is published to a topic behind one.
	Reserved []string
	// State returns what is published behind Prefix, JSON by topic; nil: only whether the
	// gateway is connected.
	State func() map[string][]byte
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

	published, repeated, late, lateDropped, expired, superseded, stripped, lowered, unreadable atomic.Uint64

	refusals [reasons]atomic.Uint64

	embedded *embedded

	// replaced are the topics of which states were taken off the queue, because a snapshot was
	// to bring a newer one that the broker does not have yet. Of the goroutine that runs.
	replaced map[string]bool
	left     map[string]time.Time // topics left out of what is repeated, since when; likewise

	sink.Standing

	mu          sync.Mutex
	warned      map[string]bool // warnings, and refused topics
	lastRefusal string
}

// New reads the certificates; it connects nothing yet.
func New(cfg config.MQTTSink, deps Deps, log *slog.Logger) (*Sink, error) {
	s := &Sink{
		cfg: cfg, deps: deps, log: log.With("component", "mqtt sink", "channel", cfg.Channel),
		clock: time.Now, warned: map[string]bool{}, replaced: map[string]bool{}, left: map[string]time.Time{},
	}
	s.run = uint64(s.clock().UnixNano())
	if s.deps.PlantTime == nil {
		s.deps.PlantTime = s.clock
	}
	address := cfg.Broker
	if cfg.Listen != "" {
		address = cfg.Listen
	}
	u, err := url.Parse(address)
	if err != nil || u.Port() == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return nil, fmt.Errorf("mqtt: %q: write mqtt:// or mqtts://host:port", address)
	}
	if cfg.Listen != "" {
		return s, s.embed(u, log)
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
	backoff := task.Backoff{First: firstRetry, Last: lastRetry}
	var before suspects
	for ctx.Err() == nil {
		began := time.Now()
		again, err := s.serve(ctx, &before)
		if ctx.Err() != nil || errors.Is(err, spool.ErrClosed) {
			return nil
		}
		s.deps.Queue.PeerDown(true)
		address := s.cfg.Broker + s.cfg.Listen // one of the two
		s.setState(sink.Down, "", cause.At(address, fmt.Errorf("%s: %w", s.peer, err)))
		if time.Since(began) > steadyAfter || again { // again: it is there, and the other messages wait
			backoff.Reset()
		}
		_ = backoff.Wait(ctx)
	}
	return nil
}

// serve is one connection, after others that may have broken over what before says. again
// reports whether it may have broken over the same.
func (s *Sink) serve(ctx context.Context, before *suspects) (again bool, err error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return false, err
	}
	p := newPublisher(s, conn, before)
	s.deps.Queue.PeerDown(false)
	s.setState(sink.Up, conn.note(), nil)
	err = p.run(ctx)
	conn.close(ctx.Err() != nil)
	if !endedByBroker(err) {
		return false, err
	}
	return p.blame(), err
}

// setState notes how the sink stands. A change of state is logged once; what follows
// while the broker is away is one attempt after the other.
func (s *Sink) setState(state sink.State, note string, fault error) {
	before, reason := s.Set(state, note, fault)
	switch {
	case state == sink.Up:
		attributes := []any{"state", state.String(), "broker", strings.TrimPrefix(s.peer, "broker ")}
		if reason != "" {
			attributes = append(attributes, "note", reason)
		}
		s.log.Info("broker connected", attributes...)
	case before == state:
		s.log.Debug("connecting failed", "state", state.String(), "error", reason)
	default:
		s.log.Warn("broker disconnected", "state", state.String(), "error", reason)
	}
}

// warnOnce warns the first time that something happens.
func (s *Sink) warnOnce(what string) {
	s.mu.Lock()
	seen := s.warned[what]
	s.warned[what] = true
	s.mu.Unlock()
	if !seen {
		s.log.Warn(what)
	}
}

// Status returns how the sink stands with its broker.
func (s *Sink) Status() (sink.State, string) {
	state, reason := s.Standing.Status()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.refusalStats().Refused()
	if state != sink.Up || n == 0 {
		return state, reason
	}
	refusals := fmt.Sprintf("the broker refused %d messages, the last one to %s", n, s.lastRefusal)
	if reason != "" {
		refusals = reason + "; " + refusals
	}
	return state, refusals
}

// String names the task.
func (s *Sink) String() string { return "mqtt sink " + s.cfg.Channel }
