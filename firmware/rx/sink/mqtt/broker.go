package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	payload "heliograph/firmware/payload/mqtt"
)

// Bounds of the embedded broker.
const (
	maxConnections   = 100
	maxSessions      = 200      // connected or resumable
	maxSubscriptions = 100      // of a client
	maxPacketIn      = 64 << 10 // clients only ask
	maxInflight      = 4096     // QoS 1 and 2, of a client
	maxWaiting       = 4096     // messages, of a client
	sessionExpiry    = 3600     // seconds
	never            = 1 << 30  // seconds
	lookEvery        = 64       // messages
	patienceTime     = time.Second
)

// embedded is the broker in this process. Its clients read; they publish
// nothing, not even by a will.
type embedded struct {
	sink    *Sink
	address string
	secure  bool
	hook    *guard

	connectionsRefused atomic.Uint64
	server             atomic.Pointer[mochi.Server]

	mu      sync.Mutex
	outlets map[*outlet]struct{}
}

// holdBack tells whether a client that reads needs a moment. None gets more
// than patienceTime before it has caught up again.
func (e *embedded) holdBack() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for o := range e.outlets {
		if o.lags(now) {
			return true
		}
	}
	return false
}

func (e *embedded) enter(o *outlet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outlets[o] = struct{}{}
}

func (e *embedded) leave(o *outlet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.outlets, o)
}

func (s *Sink) embed(u *url.URL) error {
	s.peer = "embedded broker " + u.Host
	s.embedded = &embedded{sink: s, address: u.Host, secure: u.Scheme == "mqtts", outlets: map[*outlet]struct{}{}}
	s.embedded.hook = &guard{e: s.embedded}
	s.dial = s.embedded.open
	if s.embedded.secure {
		if _, err := s.cfg.TLS.Server(); err != nil {
			return fmt.Errorf("mqtt: listen %q: %v", s.cfg.Listen, err)
		}
	}
	return nil
}

// open binds the port and starts a broker that serves nobody until it is filled.
func (e *embedded) open(ctx context.Context) (connection, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	l := &listener{e: e, ln: ln, start: make(chan struct{}), lost: make(chan struct{})}
	if e.secure {
		if l.tls, err = e.sink.cfg.TLS.Server(); err != nil {
			ln.Close()
			return nil, err
		}
	}
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients = maxConnections
	caps.MaximumMessageExpiryInterval = 0 // a retained message without an expiry stays
	caps.MaximumClientWritesPending = maxWaiting
	caps.MaximumSessionExpiryInterval = sessionExpiry
	caps.MaximumPacketSize = maxPacketIn
	caps.ReceiveMaximum = 16
	caps.MaximumInflight = maxInflight
	caps.TopicAliasMaximum = 0
	caps.MinimumProtocolVersion = 4
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	server := mochi.New(&mochi.Options{
		Capabilities: caps, Logger: slog.New(slog.DiscardHandler), // it logs every packet that it dislikes
		SysTopicResendInterval:   never,
		ClientNetWriteBufferSize: 1, // outlet buffers; the server's own buffer may keep the last packet back
	})
	if err = server.AddHook(e.hook, nil); err == nil {
		err = server.AddListener(l)
	}
	if err == nil {
		err = server.Serve()
	}
	if err != nil {
		ln.Close()
		return nil, err
	}
	e.server.Store(server)
	c := &inner{e: e, server: server, l: l, client: server.NewClient(nil, "inner", "", true)}
	c.client.Properties.ProtocolVersion = 5
	return c, nil
}

func (e *embedded) stats(st *Stats) {
	st.ClientRefusals = e.connectionsRefused.Load()
	st.PublishRefused = e.hook.publishes.Load()
	if server := e.server.Load(); server != nil {
		st.Clients = uint64(atomic.LoadInt64(&server.Info.ClientsConnected))
		st.ClientDropped = uint64(atomic.LoadInt64(&server.Info.MessagesDropped) + atomic.LoadInt64(&server.Info.InflightDropped))
	}
}

// inner is the way into the embedded broker, as a connection. Its client is
// not among the server's clients, so that nobody can take its session over.
type inner struct {
	e      *embedded
	server *mochi.Server
	l      *listener
	client *mochi.Client
	sent   []verdict
	n      int // messages
}

// room looks at the clients from time to time.
func (c *inner) room() int {
	if c.n%lookEvery == 0 && c.e.holdBack() {
		return 0
	}
	return window
}

func (c *inner) limits() limits        { return limits{qos: 2, retain: true, properties: true} }
func (c *inner) flush() error          { return nil }
func (c *inner) lost() <-chan struct{} { return c.l.lost }
func (c *inner) note() string          { return "" }
func (c *inner) filled()               { close(c.l.start) }

func (c *inner) err() error {
	select {
	case <-c.l.lost:
		return c.l.cause
	default:
		return nil
	}
}

func (c *inner) send(m *payload.Message, expiry uint32) error {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, PacketID: uint16(min(m.QoS, 1)),
	}
	p := &pk.Properties
	if m.PayloadFormat != nil {
		p.PayloadFormat, p.PayloadFormatFlag = *m.PayloadFormat, true
	}
	if m.Expires {
		p.MessageExpiryInterval = expiry
	}
	if m.ContentType != nil {
		p.ContentType = *m.ContentType
	}
	p.ResponseTopic, p.CorrelationData = m.ResponseTopic, m.CorrelationData
	for _, u := range m.User {
		p.User = append(p.User, packets.UserProperty{Key: u.Name, Val: u.Value})
	}
	c.n++
	c.e.hook.publishing.Store(true)
	c.sent = append(c.sent, c.server.InjectPacket(c.client, pk))
	c.e.hook.publishing.Store(false)
	return nil
}

func (c *inner) settled(wait time.Duration) ([]verdict, error) {
	got := c.sent
	c.sent = nil
	if len(got) == 0 && wait > 0 { // held back
		select {
		case <-c.l.lost:
		case <-time.After(min(wait, time.Millisecond)):
		}
	}
	return got, nil
}

func (c *inner) close(bool) {
	c.e.server.Store(nil)
	_ = c.server.Close()
}
