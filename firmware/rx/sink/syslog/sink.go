// Package syslog forwards the lines that crossed to a collector, the bytes
// unchanged and in order: over UDP (RFC 5426), TCP or TLS (RFC 5425).
//
// Streams use octet counting (RFC 6587 section 3.4.1), since a line may contain LF.
//
// Syslog has no acknowledgement. On a stream a line leaves the queue only once the
// collector's kernel has acknowledged it (SIOCOUTQ) for a moment; what was not
// is sent again after a reconnect, so lines arrive at least once. What a collector
// received more than that moment before it failed cannot be sent again, and
// over UDP nothing is known but what comes back by ICMP, counted as refused.
//
// The package refuses to parse, repair or reformat a line. One that does not
// fit into a datagram is truncated to it, and counted. A record in the queue is a line
// as package conduit/payload/syslog encodes it.
package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// Our own bounds.
const (
	dialTime    = 10 * time.Second
	writeTime   = 20 * time.Second
	firstRetry  = time.Second
	lastRetry   = 30 * time.Second
	steadyAfter = 30 * time.Second // a connection that held this long resets the back-off
	window      = 4096             // lines sent that are still in the queue
	windowBytes = 256 << 10
	linger      = time.Second // how long an acknowledged line is kept for a resend
	maxDatagram = 65507       // UDP over IPv4
)

// Queue keeps the lines that were not forwarded yet; package spool's has these methods.
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
	Account sink.Account // of what the collector did not take
}

// Stats counts what a sink has done.
type Stats struct {
	Forwarded  atomic.Uint64 `count:"forwarded_lines" help:"Lines that are with the collector as far as can be known."`
	Resent     atomic.Uint64 `count:"resent_lines" help:"Lines written once more after a connection broke; the collector may have them twice."`
	Truncated  atomic.Uint64 `count:"truncated_lines" help:"Of the forwarded lines, those cut to what a datagram holds."`
	Unreadable atomic.Uint64 `count:"unreadable_records" help:"Records without a line in them; they count as refused."`
	Unreached  atomic.Uint64 `count:"unreached_datagrams" help:"Datagrams that came back because nothing takes them at the collector (ICMP); they count as refused. There may be more: hosts limit how often they report it."`
}

// Sink forwards one channel.
type Sink struct {
	name, scheme, address string
	tls                   *tls.Config
	queue                 Queue
	account               sink.Account
	log                   *slog.Logger
	stats                 Stats
	sink.Standing         // with the collector
}

// New reads the certificates; it connects nothing yet.
func New(cfg config.SyslogSink, deps Deps, log *slog.Logger) (*Sink, error) {
	u, err := url.Parse(cfg.Forward)
	if err != nil || u.Port() == "" || u.Scheme != "udp" && u.Scheme != "tcp" && u.Scheme != "tls" {
		return nil, fmt.Errorf("syslog: forward %q: write udp://, tcp:// or tls://host:port", cfg.Forward)
	}
	s := &Sink{
		name: cfg.Channel, scheme: u.Scheme, address: u.Host, queue: deps.Queue, account: deps.Account,
		log: log.With("component", "syslog sink", "channel", cfg.Channel),
	}
	if u.Scheme == "tls" {
		if s.tls, err = cfg.TLS.Client(u.Hostname()); err != nil {
			return nil, fmt.Errorf("syslog: forward %q: %v", cfg.Forward, err)
		}
	}
	return s, nil
}

// Deliver queues one line.
func (s *Sink) Deliver(u sink.Update) {
	if !u.Event && u.Delete {
		return
	}
	if !u.Event || len(text(u.Payload)) == 0 { // syslog has no state: it is another protocol's
		s.refuse(&s.stats.Unreadable, 1)
		return
	}
	s.queue.Append(u.Payload)
}

// Run forwards until ctx ends, connecting again whenever it must.
func (s *Sink) Run(ctx context.Context) error {
	backoff := task.Backoff{First: firstRetry, Last: lastRetry}
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if s.scheme == "udp" {
			err = s.forwardDatagrams(ctx)
		} else {
			err = s.forwardStream(ctx)
		}
		if ctx.Err() != nil || errors.Is(err, spool.ErrClosed) {
			return nil
		}
		s.queue.PeerDown(true)
		s.setState(sink.Down, cause.At(s.scheme+"://"+s.address, fmt.Errorf("collector %s: %w", s.address, err)))
		if time.Since(began) > steadyAfter {
			backoff.Reset()
		}
		_ = backoff.Wait(ctx)
	}
	return nil
}

// setUp notes that the collector is connected.
func (s *Sink) setUp() {
	s.queue.PeerDown(false)
	s.setState(sink.Up, nil)
}

// setState notes how the sink stands. A change of state is logged once; what follows
// while the collector is away is one attempt after the other.
func (s *Sink) setState(state sink.State, fault error) {
	before, reason := s.Set(state, "", fault)
	switch {
	case state == sink.Up:
		s.log.Info("collector connected", "state", state.String(), "collector", s.address)
	case before == state:
		s.log.Debug("connecting failed", "state", state.String(), "error", reason)
	default:
		s.log.Warn("collector disconnected", "state", state.String(), "error", reason)
	}
}

// String names the task.
func (s *Sink) String() string { return "syslog sink " + s.name }

// Counters implements counter.Source.
func (s *Sink) Counters() []counter.Set {
	return []counter.Set{counter.Of("syslog_sink", s.name, &s.stats)}
}

// done takes n records off the queue, of which some are unreadable.
func (s *Sink) done(n, unreadable int) {
	s.queue.Done(n)
	s.stats.Forwarded.Add(uint64(n - unreadable))
	s.refuse(&s.stats.Unreadable, unreadable)
}

// refuse counts n records that do not reach the collector.
func (s *Sink) refuse(why *atomic.Uint64, n int) {
	if n > 0 {
		why.Add(uint64(n))
		s.account.Refused(uint64(n))
	}
}

// text returns the line in a record. It is empty where there is none: Deliver
// lets no such record into the queue, but a spool of another version may hold one.
func text(rec []byte) []byte {
	l, err := payload.Parse(rec)
	if err != nil {
		return nil
	}
	return l.Text
}
