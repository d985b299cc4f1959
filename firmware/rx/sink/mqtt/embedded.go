package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/broker"
	"heliograph/firmware/mqtt/server"
	"heliograph/firmware/rx/sink"
)

// Our own bounds.
const (
	sessionBytes = 48 << 20 // of all sessions of all embedded brokers; a quarter of its part is a session's share
	lagEvery     = 64       // messages published between two checks of clients that lag
)

// embedded is the broker in this process. Its clients read; they publish
// nothing, not even by a will.
type embedded struct {
	sink    *Sink
	address string
	secure  bool
	log     *slog.Logger
	current atomic.Pointer[server.Server]
}

// embed has the sink publish to a broker of its own that listens at u.
func (s *Sink) embed(u *url.URL, log *slog.Logger) error {
	s.peer = "embedded broker " + u.Host
	log = log.With("component", "mqtt broker", "channel", s.cfg.Channel)
	s.embedded = &embedded{sink: s, address: u.Host, secure: u.Scheme == "mqtts", log: log}
	s.dial = s.embedded.listen
	if s.embedded.secure {
		if _, err := s.cfg.TLS.Server(); err != nil {
			return fmt.Errorf("mqtt: listen %q: %v", s.cfg.Listen, err)
		}
	}
	return nil
}

// listen binds the port and makes a broker that accepts clients once the snapshot
// was published.
func (e *embedded) listen(ctx context.Context) (connection, error) {
	budget := sessionBytes / int64(max(e.sink.deps.Brokers, 1))
	cfg := server.Config{Verify: e.sink.deps.Verify, Broker: broker.Config{Budget: budget, Share: budget / 4},
		Log: e.log}
	if e.secure {
		var err error
		if cfg.TLS, err = e.sink.cfg.TLS.Server(); err != nil {
			return nil, err
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	c := &embeddedConn{server: server.New(ln, cfg), gone: make(chan struct{})}
	e.current.Store(c.server)
	return c, nil
}

// Clients returns the clients of the embedded broker; none where there is none.
func (s *Sink) Clients() (list []sink.Client) {
	if s.embedded == nil {
		return nil
	}
	current := s.embedded.current.Load()
	if current == nil {
		return nil
	}
	for _, c := range current.Clients() {
		list = append(list, sink.Client{Address: c.Address, User: c.User, Application: c.ID, Since: c.Since})
	}
	return list
}

// embeddedConn publishes to the embedded broker, as a connection.
type embeddedConn struct {
	server *server.Server
	gone   chan struct{}
	cause  error // once gone is closed
	sent   []verdict
	n      int // messages
}

// room is none while clients lag, which is checked from time to time.
func (c *embeddedConn) room() int {
	if c.n%lagEvery == 0 && c.server.Lagging() {
		return 0
	}
	return window
}

func (c *embeddedConn) limits() limits        { return limits{qos: 2, retain: true, properties: true} }
func (c *embeddedConn) flush() error          { return nil }
func (c *embeddedConn) lost() <-chan struct{} { return c.gone }
func (c *embeddedConn) note() string          { return "" }

// snapshotSent has clients accepted.
func (c *embeddedConn) snapshotSent() {
	go func() {
		if err := c.server.Serve(); err != nil {
			c.cause = err
			close(c.gone)
		}
	}()
}

func (c *embeddedConn) err() error {
	select {
	case <-c.gone:
		return c.cause
	default:
		return nil
	}
}

func (c *embeddedConn) send(m *payload.Message, expiry uint32) error {
	c.n++
	c.server.Publish(m, expiry)
	c.sent = append(c.sent, nil)
	return nil
}

func (c *embeddedConn) settled(wait time.Duration) ([]verdict, error) {
	got := c.sent
	c.sent = nil
	if len(got) == 0 && wait > 0 { // held back
		select {
		case <-c.gone:
		case <-time.After(min(wait, time.Millisecond)):
		}
	}
	return got, nil
}

func (c *embeddedConn) close(bool) { c.server.Close() }
