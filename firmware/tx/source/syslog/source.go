// Package syslog receives the plant's syslog and puts it on the link, line by
// line, the bytes unchanged: RFC 5424 and RFC 3164 over UDP (RFC 5426), TCP
// (RFC 6587) and TLS (RFC 5425). What is neither crosses too, marked malformed.
//
// On a stream each message says how it is framed: one that starts with a digit
// 1-9 is octet-counted, any other ends at LF or NUL. A message longer than 64 KiB
// crosses truncated to that and marked; one longer than 1 MiB ends its connection.
//
// A new connection always gets in: beyond 256 the longest idle one of the address
// that holds most is closed, once everything that it had sent is read (package fairshare).
//
// The package refuses, and counts by reason (Stats): handshakes and messages that take
// too long, messages beyond 1 MiB, empty datagrams. What a sender cut off and what the
// kernel dropped before this program could read it is counted too.
// It never answers, and interprets no line.
package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"sync"
	"time"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/fairshare"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

// Our own bounds.
const (
	maxMessage     = 64 << 10 // bytes that cross of one line
	maxDiscard     = 1 << 20  // bytes of a line at most, those that do not cross included
	maxConnections = 256
	handshakeTime  = 10 * time.Second
	messageTime    = 30 * time.Second // from its first byte to its last
	idleTime       = time.Hour        // between messages
	evictTime      = time.Second      // for what a connection that makes room had sent
	writeTime      = 10 * time.Second // for an answer of TLS
	evictLogEvery  = time.Minute
	dropsEvery     = time.Second
	receiveBuffer  = 16 << 20 // asked of the kernel for UDP
	retryMin       = time.Second
	retryMax       = 30 * time.Second
)

// Source receives syslog for one channel.
type Source struct {
	name      string
	listeners []*listener
	port      source.Port
	log       *slog.Logger
	stats     Stats
	open      *fairshare.Table[*peer] // connections of all listeners
	serving   chan struct{}           // one for each of them, and for each evicted one that has not ended

	mu     sync.Mutex
	warned time.Time // when an eviction was last logged
}

type listener struct {
	text      string
	address   string
	transport payload.Transport
	tls       *tls.Config
	drops     drops
	fault     error // nil once bound; under the source's lock
}

var errUnbound = errors.New("not bound yet")

// New reads the certificates and checks the listeners; it binds nothing yet.
func New(cfg config.SyslogSource, port source.Port, log *slog.Logger) (*Source, error) {
	s := &Source{name: cfg.Channel, port: port, log: log.With("component", "syslog source", "channel", cfg.Channel),
		open: fairshare.New[*peer](maxConnections), serving: make(chan struct{}, 2*maxConnections)}
	for _, text := range cfg.Listen {
		u, err := url.Parse(text)
		if err != nil || u.Port() == "" {
			return nil, fmt.Errorf("syslog: listen %q: write udp://, tcp:// or tls://host:port", text)
		}
		l := &listener{text: text, address: u.Host, fault: errUnbound}
		switch u.Scheme {
		case "udp":
			l.transport = payload.UDP
		case "tcp":
			l.transport = payload.TCP
		case "tls":
			l.transport = payload.TLS
			if l.tls, err = cfg.TLS.Server(); err != nil {
				return nil, fmt.Errorf("syslog: listen %q: %v", text, err)
			}
		default:
			return nil, fmt.Errorf("syslog: listen %q: write udp://, tcp:// or tls://host:port", text)
		}
		s.listeners = append(s.listeners, l)
	}
	if len(s.listeners) == 0 {
		return nil, errors.New("syslog: no listener; name one in listen")
	}
	return s, nil
}

// Run listens until ctx ends. A listener that cannot be bound is tried again.
func (s *Source) Run(ctx context.Context) error {
	s.port.SetComplete(true)
	s.report()
	var wg sync.WaitGroup
	for _, l := range s.listeners {
		wg.Go(func() { s.keepListening(ctx, l) })
	}
	wg.Go(func() { s.watchDrops(ctx) })
	wg.Wait()
	return nil
}

func (s *Source) keepListening(ctx context.Context, l *listener) {
	backoff := task.Backoff{First: retryMin, Last: retryMax}
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if l.transport == payload.UDP {
			err = s.serveUDP(ctx, l)
		} else {
			err = s.serveStream(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		s.setFault(l, cause.At(l.text, fmt.Errorf("cannot listen on %s: %w", l.text, err)))
		if time.Since(began) > retryMax {
			backoff.Reset()
		}
		_ = backoff.Wait(ctx)
	}
}

// setFault notes why a listener does not work, nil when it does. A change is logged
// once; what follows while it is down is one attempt after the other.
func (s *Source) setFault(l *listener, fault error) {
	s.mu.Lock()
	changed := l.fault == nil || fault == nil || l.fault.Error() != fault.Error()
	l.fault = fault
	s.mu.Unlock()
	switch {
	case fault == nil:
		s.log.Info("listener bound", "state", source.Up.String(), "listen", l.text)
	case changed:
		s.log.Warn("listener down", "state", source.Down.String(), "error", fault)
	default:
		s.log.Debug("binding failed", "state", source.Down.String(), "error", fault)
	}
	s.report()
}

// report sets the channel's state.
func (s *Source) report() {
	if err := s.Ready(); err != nil {
		s.port.Report(source.Down, err.Error())
		return
	}
	s.port.Report(source.Up, "")
}

// Ready returns nil once every listener is bound.
func (s *Source) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.fault != nil {
			return l.fault
		}
	}
	return nil
}

// String names the task.
func (s *Source) String() string { return "syslog source " + s.name }

// putLine hands one line over; text is copied.
func (s *Source) putLine(c *classifier, t payload.Transport, sender netip.Addr, text []byte, truncated bool) {
	l := payload.Line{Format: c.format(text), Transport: t, Truncated: truncated, Sender: sender, Text: text}
	b := payload.Append(make([]byte, 0, 19+len(text)), l)
	if err := s.port.Put(source.Update{Payload: b, Time: time.Now(), Event: true}); err != nil {
		s.stats.Refused.Add(1)
		return
	}
	s.stats.Received.Add(1)
	if l.Format == payload.Malformed {
		s.stats.Malformed.Add(1)
	}
	if truncated {
		s.stats.Truncated.Add(1)
	}
}
