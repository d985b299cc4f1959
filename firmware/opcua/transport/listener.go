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

// ListenConfig sets what a Listener grants. The zero value of each field means its
// default.
type ListenConfig struct {
	Limits         Limits
	Timeouts       Timeouts
	MaxConnections int // in total, 200
	MaxPerAddress  int // per client address (IPv6: per /64), 50
	// MaxMemory is for chunks and messages under assembly, all connections together,
	// beyond the 64 KiB that each is guaranteed; 32 MiB.
	MaxMemory int64
	// AcceptURL refuses endpoint URLs that lead nowhere; nil takes any.
	AcceptURL func(url string) bool
	Log       *slog.Logger
}

// Stats counts what a Listener has seen.
type Stats struct {
	Open       int    `gauge:"connections" help:"TCP connections now."`
	Memory     int64  `gauge:"message_bytes" help:"Memory that messages under way take now."`
	Accepted   uint64 `count:"accepted_connections" help:"Connections whose hello was acknowledged."`
	OverQuota  uint64 `count:"refused_connections" help:"Connections refused: the address, or all together, had as many with a session as they may."`
	Evicted    uint64 `count:"evicted_connections" help:"Connections without a session closed to make room for others."`
	Handshakes uint64 `count:"failed_handshakes" help:"Connections whose hello was wrong, late or missing."`
	Untold     uint64 `count:"untold_connections" help:"Connections closed without a reason given: too many were being closed at the time."`
}

// maxParting bounds the connections that are closed at a time and wait for their client
// to read why.
const maxParting = 64

// Listener accepts connections and does their handshakes beside one another, so
// that a silent client delays nobody.
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

	parting chan struct{} // a token for each connection that is being closed with a reason

	accepted, overQuota, evicted, handshakes, untold atomic.Uint64
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

// NewListener serves an existing listener and takes it over.
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
		log: NewLimitedLog(cfg.Log), parting: make(chan struct{}, maxParting),
		gate: gate{total: cfg.MaxConnections, perAddress: cfg.MaxPerAddress, byAddress: map[netip.Addr]int{}},
	}
	l.memory.limit = cfg.MaxMemory
	l.work.Go(l.acceptAll)
	return l, nil
}

// Addr is where the listener listens.
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
		OverQuota: l.overQuota.Load(), Evicted: l.evicted.Load(), Handshakes: l.handshakes.Load(), Untold: l.untold.Load(),
	}
}

func (l *Listener) acceptAll() {
	const pause = 50 * time.Millisecond // out of file descriptors: wait for one
	for {
		nc, err := l.nl.Accept()
		switch {
		case err == nil:
			l.admit(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.cfg.Log.Warn("opcua: accept", "error", err)
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
		l.log.Warn("opcua: connection refused: there are too many with a session", "client", c.RemoteAddr())
		l.part(c, "too many connections")
		return
	}
	if evicted != nil {
		l.evicted.Add(1)
		l.log.Warn("opcua: connection closed to make room: it has no session", "client", evicted.RemoteAddr())
		l.part(evicted, "closed to make room: no session on this connection")
	}
	select {
	case <-l.done: // Close may have looked before we were counted
		c.Close()
		return
	default:
	}
	l.work.Go(func() { l.handshake(c) })
}

// part closes a connection and lets its client read why, beside everything else. Of many
// at a time the rest are closed at once.
func (l *Listener) part(c *Conn, reason string) {
	select {
	case l.parting <- struct{}{}:
		l.work.Go(func() {
			defer func() { <-l.parting }()
			c.Fail(ua.StatusBadTCPNotEnoughResources, reason)
		})
	default:
		l.untold.Add(1)
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
		return fault(ua.StatusBadTCPEndpointURLInvalid, "no such endpoint here")
	}
	ack, limits, err := cfg.Limits.acknowledge(hel)
	if err != nil {
		return err
	}
	c.endpoint, c.limits = hel.EndpointURL, limits
	return c.write(ack.AppendAcknowledge(nil), time.Until(deadline))
}
