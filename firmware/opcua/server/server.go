package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/platform/counter"
)

// Server is an OPC UA server. Its methods are safe for concurrent use, but Set,
// Remove, Emit, Forget and StructureChanged have one caller at a time.
type Server struct {
	cfg      Config
	url      *url.URL
	channels *channel.Server
	engine   *subscription.Engine
	values   *values
	sessions sessions
	started  time.Time

	missing    atomic.Uint32 // status of variables without a value
	state      atomic.Uint32 // ServerState
	level      atomic.Uint32 // ServiceLevel
	shut       atomic.Bool   // no new sessions
	namespaces atomic.Pointer[[]string]
	defaults   atomic.Pointer[defaults]
	members    atomic.Pointer[members]

	requests, refused, faults, evicted atomic.Uint64
	totals                             totals
	counted                            []uint32 // services that need a session, by their requests' numbers
	turns                              turns
	refusals                           *transport.LimitedLog

	mu       sync.Mutex
	addr     net.Addr
	why      error // it does not listen
	listener *transport.Listener
	conns    map[*conn]bool
}

// New checks cfg. The server listens when Run runs.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	u, err := url.Parse(cfg.Listen)
	if err != nil || u.Scheme != "opc.tcp" || u.Port() == "" {
		return nil, fmt.Errorf("opcua server: listen address %q: write opc.tcp://host:port", cfg.Listen)
	}
	s := &Server{
		cfg: cfg, url: u, values: newValues(), started: cfg.Now(), conns: map[*conn]bool{}, why: errors.New("not listening yet"),
		sessions: newSessions(cfg.Limits), refusals: transport.NewLimitedLog(cfg.Log), turns: turns{busy: make(chan struct{}, maxBusy), heavy: make(chan struct{}, 1)},
	}
	for n, sv := range services {
		if sv.session {
			s.counted = append(s.counted, n)
		}
	}
	s.state.Store(uint32(ua.ServerStateRunning))
	s.level.Store(255)
	s.missing.Store(uint32(ua.StatusBadWaitingForInitialData))
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/"})
	none := channel.Security{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}
	offered := cfg.Security
	if !s.offers(none) {
		offered = append([]channel.Security{none}, offered...) // for discovery
	}
	s.channels, err = channel.NewServer(channel.ServerConfig{Identity: s.identity, Security: offered, Authorize: s.authorize, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	s.engine = subscription.New(subscription.Config{Nodes: s, Space: cfg.Space, Now: cfg.Now, Log: cfg.Log, Limits: subscription.Limits{Operations: cfg.Limits.Operations}})
	return s, nil
}

func (s *Server) identity() channel.Identity {
	if s.cfg.Store == nil || s.cfg.Store.Own() == nil {
		return channel.Identity{}
	}
	own := s.cfg.Store.Own()
	return channel.Identity{Certificate: own.Chain, Key: own.Key}
}

func (s *Server) authorize(_ context.Context, p channel.Peer) error {
	if s.cfg.Store == nil {
		return nil
	}
	expired := slices.Contains(s.cfg.Expired, pki.Thumbprint(p.Chain[0].Raw))
	return s.cfg.Store.Check(p.Chain, pki.Purpose{Tolerate: pki.Tolerance{Dates: expired}}, p.Address.String())
}

// offers tells whether sessions may use a policy and mode.
func (s *Server) offers(want channel.Security) bool {
	for _, o := range s.cfg.Security {
		if o == want {
			return true
		}
	}
	return false
}

// String names the server.
func (s *Server) String() string { return "opcua server " + s.cfg.Listen }

// Ready returns nil while the server listens.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// Addr returns where the server listens, nil before it does.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Space returns the address space that is served.
func (s *Server) Space() *addrspace.Space { return s.cfg.Space }

// listenAgain is how long an address that cannot be had is left alone.
const listenAgain = 2 * time.Second

// Run serves until ctx ends. An address that cannot be had is tried again.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = s.engine.Run(ctx) }) // ends with ctx alone
	work.Go(func() { s.sweep(ctx) })
	for ctx.Err() == nil {
		err := s.listen(ctx, &work)
		if ctx.Err() != nil {
			break
		}
		s.mu.Lock()
		s.why = err
		s.mu.Unlock()
		s.cfg.Log.Error("opcua server does not listen", "address", s.cfg.Listen, "error", err, "retry", listenAgain)
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

func (s *Server) listen(ctx context.Context, work *sync.WaitGroup) error {
	cfg := s.cfg.Transport
	cfg.Log = s.cfg.Log
	l, err := transport.Listen(ctx, s.url.Host, cfg)
	if err != nil {
		return err
	}
	defer l.Close()
	s.mu.Lock()
	s.addr, s.why, s.listener = l.Addr(), nil, l
	s.mu.Unlock()
	for {
		tc, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		work.Go(func() { s.serve(ctx, tc) })
	}
}

// sweep closes sessions that were not heard of in time.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, gone := range s.sessions.expire(s.cfg.Now()) {
			s.totals.timeouts.Add(1)
			s.engine.SessionClosed(gone.number, false) // its subscriptions live on until their own lifetime ends
		}
		s.checkUsers()
	}
}

// Set gives a variable its newest DataValue, which must not change afterwards.
func (s *Server) Set(id rawvalue.NodeID, dataValue []byte) {
	s.values.set(id, dataValue)
	s.engine.Changed(id, dataValue)
}

// Remove takes a variable's value away, and tells who watches it.
func (s *Server) Remove(id rawvalue.NodeID) {
	s.values.remove(id)
	s.engine.Changed(id, rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{}))
}

// SetMissing says what variables without a value answer with.
func (s *Server) SetMissing(code ua.StatusCode) { s.missing.Store(uint32(code)) }

// SetNamespaces says what the NamespaceArray is until it is Set as a value.
func (s *Server) SetNamespaces(uris []string) { s.namespaces.Store(&uris) }

// SetState says what the Server object tells of itself.
func (s *Server) SetState(state ua.ServerState, serviceLevel byte) {
	s.state.Store(uint32(state))
	s.level.Store(uint32(serviceLevel))
}

// CloseSessions ends all sessions and connections and refuses new sessions until
// Reopen: what NodeIds mean is about to change.
func (s *Server) CloseSessions(reason ua.StatusCode) {
	s.shut.Store(true)
	for _, gone := range s.sessions.clear() {
		s.totals.aborts.Add(1)
		s.engine.SessionClosed(gone.number, true)
	}
	s.engine.Reset()
	var told sync.WaitGroup // beside one another: a client that takes nothing keeps nobody waiting
	for _, c := range s.connections() {
		told.Go(func() { c.channel.Fail(reason, "the address space is replaced: connect again") })
	}
	told.Wait()
}

// Reopen takes sessions again.
func (s *Server) Reopen() { s.shut.Store(false) }

// CheckTrust closes the channels of clients, and the sessions of users, whose
// certificates are not trusted any more.
func (s *Server) CheckTrust() {
	for _, o := range s.sessions.persons() {
		if err := s.cfg.Store.Check(o.person, pki.Purpose{User: true}, o.address.String()); err != nil {
			s.cfg.Log.Warn("opcua server closes a session", "client", o.address, "error", err)
			s.totals.aborts.Add(1)
			s.sessions.remove(o.session)
			s.engine.SessionClosed(o.number, true)
		}
	}
	for _, c := range s.connections() {
		p := c.channel.Peer()
		if p.Chain == nil {
			continue
		}
		if err := s.authorize(context.Background(), p); err != nil {
			s.cfg.Log.Warn("opcua server closes a channel", "client", p.Address, "error", err)
			c.channel.Fail(ua.StatusBadSecurityChecksFailed, "")
		}
	}
}

// checkUsers closes the sessions of users that there are not any more.
func (s *Server) checkUsers() {
	if s.cfg.Known == nil {
		return
	}
	for name, list := range s.sessions.named() {
		if s.cfg.Known(name) {
			continue
		}
		for _, gone := range list {
			s.cfg.Log.Warn("opcua server closes a session: its user is not known any more", "client", gone.address, "user", name)
			s.totals.aborts.Add(1)
			s.sessions.remove(gone)
			s.engine.SessionClosed(gone.number, true)
		}
	}
}

func (s *Server) connections() (list []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// Emit tells clients of an event, and notes the state of its condition.
func (s *Server) Emit(ev *event.Event) { s.engine.Event(ev) }

// Forget ends a retained condition of which nothing more is known.
func (s *Server) Forget(condition, branch rawvalue.NodeID) { s.engine.Forget(condition, branch) }

// StructureChanged tells clients of changes in the address space.
func (s *Server) StructureChanged(affected []addrspace.Affected) {
	var structure []addrspace.Affected
	for _, a := range affected {
		if a.Verb != 0 {
			structure = append(structure, a)
		}
	}
	if len(structure) == 0 {
		return
	}
	stamp := event.Stamp{Time: uabinary.Ticks(s.cfg.Now())}
	copy(stamp.ID[:], channel.Nonce())
	var ev *event.Event
	ok := false
	s.cfg.Space.View(func(v addrspace.View) { ev, ok = event.GeneralModelChange(stamp, structure, v) })
	if !ok {
		ev = event.BaseModelChange(stamp)
	}
	s.engine.Event(ev)
}

// Stats is what an operator wants to know.
type Stats struct {
	Channels      int    `gauge:"secure_channels" help:"Secure channels now."`
	Sessions      int    `gauge:"sessions" help:"Sessions now."`
	Evicted       uint64 `count:"evicted_sessions" help:"Sessions that nobody had activated, or whose connection was gone, closed to make room for others."`
	Requests      uint64 `count:"requests" help:"Requests of clients."`
	Refused       uint64 `count:"refused_requests" help:"Requests, and secure channels, refused as a whole."`
	Faults        uint64 `count:"malformed_requests" help:"Requests that could not be decoded or answered."`
	Listener      transport.Stats
	Subscriptions subscription.Stats
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n, l := len(s.conns), s.listener
	s.mu.Unlock()
	st := Stats{
		Channels: n, Sessions: s.sessions.count(), Evicted: s.evicted.Load(), Requests: s.requests.Load(), Refused: s.refused.Load() + s.channels.Refused(),
		Faults: s.faults.Load(), Subscriptions: s.engine.Stats(),
	}
	if l != nil {
		st.Listener = l.Stats()
	}
	return st
}

// Counters implements counter.Source.
func (s *Server) Counters() []counter.Set {
	st := s.Stats()
	return []counter.Set{counter.Of("opcua_server", s.cfg.Channel, &st)}
}

// endpointURL is the server's URL as a client may use it: on a wildcard address with
// the host that the client used.
func (s *Server) endpointURL(asked string) string {
	u := *s.url
	if a, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]")); u.Hostname() == "" || err == nil && a.IsUnspecified() {
		if c, err := url.Parse(asked); err == nil && c.Hostname() != "" && len(c.Hostname()) <= 253 {
			u.Host = net.JoinHostPort(c.Hostname(), s.port())
		}
	} else if u.Port() == "0" {
		u.Host = net.JoinHostPort(u.Hostname(), s.port())
	}
	return u.String()
}

func (s *Server) port() string {
	if a, ok := s.Addr().(*net.TCPAddr); ok {
		return fmt.Sprint(a.Port)
	}
	return s.url.Port()
}
