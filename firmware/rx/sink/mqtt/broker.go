package mqtt

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/broker"
	"heliograph/firmware/mqtt/server"
)

// Our own bounds.
const (
	sessionBytes = 48 << 20 // of all sessions of all embedded brokers; a quarter of its part is a session's share
	lookEvery    = 64       // messages published between two looks at clients that lag
)

// embedded is the broker in this process. Its clients read; they publish
// nothing, not even by a will.
type embedded struct {
	sink    *Sink
	address string
	secure  bool
	current atomic.Pointer[server.Server]
}

func (s *Sink) embed(u *url.URL) error {
	s.peer = "embedded broker " + u.Host
	s.embedded = &embedded{sink: s, address: u.Host, secure: u.Scheme == "mqtts"}
	s.dial = s.embedded.open
	if s.embedded.secure {
		if _, err := s.cfg.TLS.Server(); err != nil {
			return fmt.Errorf("mqtt: listen %q: %v", s.cfg.Listen, err)
		}
	}
	return nil
}

// open binds the port and makes a broker that serves nobody until it is filled.
func (e *embedded) open(ctx context.Context) (connection, error) {
	budget := sessionBytes / int64(max(e.sink.deps.Brokers, 1))
	cfg := server.Config{Verify: e.sink.deps.Verify, Broker: broker.Config{Budget: budget, Share: budget / 4}, Log: e.sink.log.With("channel", e.sink.cfg.Channel)}
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
	c := &inner{server: server.New(ln, cfg), gone: make(chan struct{})}
	e.current.Store(c.server)
	return c, nil
}

// inner is the way into the embedded broker, as a connection.
type inner struct {
	server *server.Server
	gone   chan struct{}
	cause  error // once gone is closed
	sent   []verdict
	n      int // messages
}

// room looks at the clients from time to time.
func (c *inner) room() int {
	if c.n%lookEvery == 0 && c.server.Lagging() {
		return 0
	}
	return window
}

func (c *inner) limits() limits        { return limits{qos: 2, retain: true, properties: true} }
func (c *inner) flush() error          { return nil }
func (c *inner) lost() <-chan struct{} { return c.gone }
func (c *inner) note() string          { return "" }

// filled lets the clients in.
func (c *inner) filled() {
	go func() {
		if err := c.server.Serve(); err != nil {
			c.cause = err
			close(c.gone)
		}
	}()
}

func (c *inner) err() error {
	select {
	case <-c.gone:
		return c.cause
	default:
		return nil
	}
}

func (c *inner) send(m *payload.Message, expiry uint32) error {
	c.n++
	c.server.Publish(m, expiry)
	c.sent = append(c.sent, nil)
	return nil
}

func (c *inner) settled(wait time.Duration) ([]verdict, error) {
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

func (c *inner) close(bool) { c.server.Close() }
