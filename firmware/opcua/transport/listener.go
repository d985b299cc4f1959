package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
)

// ListenConfig bounds what a Listener accepts. The zero value of each field means its
// default.
type ListenConfig struct {
	Limits         Limits
	Timeouts       Timeouts
	MaxConnections int // in total, 200
	MaxPerAddress  int // per client address (IPv6: per /64), 50
	// MaxMemory bounds chunks and messages under assembly of all connections together,
	// beyond what each is guaranteed; 32 MiB.
	MaxMemory int64
	// AcceptURL reports whether an endpoint URL is served; nil accepts any.
	AcceptURL func(url string) bool
	Log       *slog.Logger
}

// Stats counts the connections of a Listener.
type Stats struct {
	Open        int    `gauge:"connections" help:"TCP connections now."`
	Memory      int64  `gauge:"message_bytes" help:"Memory of messages under assembly now."`
	Accepted    uint64 `count:"accepted_connections" help:"Connections whose hello was acknowledged."`
	OverQuota   uint64 `count:"refused_connections" help:"Connections refused: too many with a session."`
	Evicted     uint64 `count:"evicted_connections" help:"Connections without a session closed to accept others."`
	Handshakes  uint64 `count:"failed_handshakes" help:"Connections whose hello was invalid, late or missing."`
	Unexplained uint64 `count:"untold_connections" help:"Connections closed without an error message."`
}

// maxFailing bounds the connections that wait at a time for their client to read why they
// are closed.
const maxFailing = 64

// Listener accepts connections and does their handshakes concurrently, so that a silent
// client does not delay the others.
type Listener struct {
	nl     net.Listener
	cfg    ListenConfig
	memory budget
	gate   gate
	ready  chan *Conn
	done   chan struct{}
	stop   sync.Once
	work   sync.WaitGroup
	log    *LimitedLog

	failing chan struct{} // a token for each connection that is being closed with a reason

	accepted, overQuota, evicted, handshakes, unexplained atomic.Uint64
}

// Listen listens on a TCP address.
func Listen(ctx context.Context, address string, cfg ListenConfig) (*Listener, error) {
	var lc net.ListenConfig
	nl, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l, err := NewListener(nl, cfg)
	if err != nil {
		nl.Close()
		return nil, err
	}
	return l, nil
}

// NewListener serves an existing listener, which it owns from then on.
func NewListener(nl net.Listener, cfg ListenConfig) (*Listener, error) {
	limits, err := cfg.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Limits, cfg.Timeouts = limits, cfg.Timeouts.withDefaults()
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = 200
	}
	if cfg.MaxPerAddress <= 0 {
		cfg.MaxPerAddress = 50
	}
	if cfg.MaxMemory <= 0 {
		cfg.MaxMemory = defaultMemory
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Listener{
		nl: nl, cfg: cfg, ready: make(chan *Conn), done: make(chan struct{}),
		log: NewLimitedLog(cfg.Log), failing: make(chan struct{}, maxFailing),
		gate: gate{total: cfg.MaxConnections, perAddress: cfg.MaxPerAddress, byAddress: map[netip.Addr]int{}},
	}
	l.memory.limit = cfg.MaxMemory
	l.work.Go(l.acceptAll)
	return l, nil
}

// Addr is the address that the listener listens on.
func (l *Listener) Addr() net.Addr { return l.nl.Addr() }

// Accept returns the next connection whose handshake is done, or net.ErrClosed.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops listening and closes every connection.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.stop.Do(func() {
		close(l.done)
		err = l.nl.Close()
	})
	for _, c := range l.gate.all() {
		c.Close()
	}
	l.work.Wait()
	return err
}

// Stats returns the counters.
func (l *Listener) Stats() Stats {
	return Stats{
		Open: len(l.gate.all()), Memory: l.memory.held.Load(), Accepted: l.accepted.Load(),
		OverQuota: l.overQuota.Load(), Evicted: l.evicted.Load(), Handshakes: l.handshakes.Load(),
		Unexplained: l.unexplained.Load(),
	}
}

func (l *Listener) acceptAll() {
	const pause = 50 * time.Millisecond // out of file descriptors: wait until one is free
	for {
		nc, err := l.nl.Accept()
		switch {
		case err == nil:
			l.admit(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.cfg.Log.Warn("accept failed", "error", err)
			select {
			case <-l.done:
				return
			case <-time.After(pause):
			}
		}
	}
}

func (l *Listener) admit(nc net.Conn) {
	c := newConn(nc, l.cfg.Timeouts, &l.memory)
	c.onClose = func() { l.gate.leave(c) }
	evicted, ok := l.gate.admit(c, c.RemoteIP())
	if !ok {
		l.overQuota.Add(1)
		l.log.Warn("connection refused: too many with a session", "client", c.RemoteAddr())
		l.failAsync(c, "too many connections")
		return
	}
	if evicted != nil {
		l.evicted.Add(1)
		l.log.Warn("connection without a session closed to accept another", "client", evicted.RemoteAddr())
		l.failAsync(evicted, "connection has no session and is closed to accept another")
	}
	select {
	case <-l.done: // Close may have run before this connection was added
		c.Close()
		return
	default:
	}
	l.work.Go(func() { l.handshake(c) })
}

// failAsync closes a connection with an error message, in the background. Beyond maxFailing at a
// time they are closed without one.
func (l *Listener) failAsync(c *Conn, reason string) {
	select {
	case l.failing <- struct{}{}:
		l.work.Go(func() {
			defer func() { <-l.failing }()
			c.Fail(ua.StatusBadTCPNotEnoughResources, reason)
		})
	default:
		l.unexplained.Add(1)
		c.Close()
	}
}

func (l *Listener) handshake(c *Conn) {
	if err := c.serverHandshake(l.cfg); err != nil {
		l.handshakes.Add(1)
		var e *Error
		if errors.As(err, &e) && !e.Remote {
			c.Fail(e.Code, e.Reason)
		}
		c.Close()
		return
	}
	l.accepted.Add(1)
	select {
	case l.ready <- c:
	case <-l.done:
		c.Close()
	}
}

// serverHandshake reads the hello and acknowledges it, all within one deadline.
func (c *Conn) serverHandshake(cfg ListenConfig) error {
	deadline := time.Now().Add(cfg.Timeouts.Handshake)
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return err
	}
	h, chunk, err := c.readRest(HeaderSize + 20 + 4 + maxString)
	if err != nil {
		return err
	}
	switch h.Type {
	case Hello:
	case ReverseHello:
		return fault(ua.StatusBadTCPMessageTypeInvalid, "reverse connections are not accepted")
	case Err:
		return ParseError(chunk[HeaderSize:])
	default:
		return fault(ua.StatusBadTCPMessageTypeInvalid, "the first message must be a hello")
	}
	hel, err := ParseHello(chunk[HeaderSize:])
	if err != nil {
		return err
	}
	if cfg.AcceptURL != nil && !cfg.AcceptURL(hel.EndpointURL) {
		return fault(ua.StatusBadTCPEndpointURLInvalid, "there is no such endpoint")
	}
	ack, limits, err := cfg.Limits.acknowledge(hel)
	if err != nil {
		return err
	}
	c.endpoint, c.limits = hel.EndpointURL, limits
	return c.write(ack.AppendAcknowledge(nil), time.Until(deadline), false)
}
