package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
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
)

// Server is an OPC UA server. Its methods are safe for concurrent use, except that Set,
// Remove, Emit, Forget and StructureChanged have one caller at a time.
type Server struct {
	cfg      Config
	url      *url.URL
	channels *channel.Server
	engine   *subscription.Engine
	values   *values
	sessions sessions
	started  time.Time

	missingStatus atomic.Uint32 // status of variables without a value
	serverState   atomic.Uint32 // ServerState
	serviceLevel  atomic.Uint32 // ServiceLevel
	closed        atomic.Bool   // refuses new sessions
	namespaces    atomic.Pointer[[]string]
	restrictions  atomic.Pointer[defaults]
	viewMembers   atomic.Pointer[viewMembers]

	sessionArray, subscriptionArray encodedArray // of diagnostics

	requests, refused, faults, evicted atomic.Uint64
	connectionCount                    atomic.Uint64 // connections so far
	totals                             totals
	countedServices                    []uint32 // encoding ids of the requests that are counted for each session
	admission                          admission
	refusalLog                         *transport.LimitedLog

	mu        sync.Mutex
	addr      net.Addr
	listenErr error // nil while it listens
	listener  *transport.Listener
	conns     map[*conn]bool
}

// New returns a server that listens while Run runs.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	u, err := url.Parse(cfg.Listen)
	if err != nil || u.Scheme != "opc.tcp" || u.Port() == "" {
		return nil, fmt.Errorf("opcua server: listen address %q: write opc.tcp://host:port", cfg.Listen)
	}
	s := &Server{
		cfg: cfg, url: u, values: newValues(), started: cfg.Now(), conns: map[*conn]bool{},
		listenErr: errors.New("not listening yet"),
		sessions:  newSessions(cfg.Limits), refusalLog: transport.NewLimitedLog(cfg.Log),
		admission: admission{shared: make(chan struct{}, maxConcurrent), exclusive: make(chan struct{}, 1),
			scanning: make(chan struct{}, maxScanning)},
	}
	for n, sv := range services {
		if sv.session {
			s.countedServices = append(s.countedServices, n)
		}
	}
	s.serverState.Store(uint32(ua.ServerStateRunning))
	s.serviceLevel.Store(255)
	s.missingStatus.Store(uint32(ua.StatusBadWaitingForInitialData))
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/"})
	none := channel.Security{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}
	offered := cfg.Security
	if !s.offers(none) {
		offered = append([]channel.Security{none}, offered...) // for discovery
	}
	s.channels, err = channel.NewServer(
		channel.ServerConfig{Identity: s.identity, Security: offered, Authorize: s.authorize, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	s.engine = subscription.New(subscription.Config{
		Nodes: s, Space: cfg.Space, Now: cfg.Now, Log: cfg.Log,
		Limits: subscription.Limits{Operations: cfg.Limits.Operations},
	})
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

// offers reports whether sessions may use a policy and mode.
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
	return s.listenErr
}

// Addr returns where the server listens, nil before it does.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Space returns the address space that is served.
func (s *Server) Space() *addrspace.Space { return s.cfg.Space }

// Run serves until ctx ends. If it cannot listen it tries again.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = s.engine.Run(ctx) }) // returns nil when ctx ends
	work.Go(func() { s.closeExpired(ctx) })
	for ctx.Err() == nil {
		err := s.listen(ctx, &work)
		if ctx.Err() != nil {
			break
		}
		s.mu.Lock()
		s.listenErr = err
		s.mu.Unlock()
		s.cfg.Log.Error("not listening", "error", err, "retry", listenRetry, "address", s.cfg.Listen)
		select {
		case <-ctx.Done():
		case <-time.After(listenRetry):
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
	s.addr, s.listenErr, s.listener = l.Addr(), nil, l
	s.mu.Unlock()
	for {
		tc, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		work.Go(func() { s.serve(ctx, tc) })
	}
}

// closeExpired closes the sessions whose timeout has passed.
func (s *Server) closeExpired(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, expired := range s.sessions.expire(s.cfg.Now()) {
			s.totals.timeouts.Add(1)
			s.endSession(expired, false) // its subscriptions live on for their own lifetime
		}
		s.checkUsers()
	}
}

// disconnected removes the sessions of a connection that has ended and that were not activated.
// The others lose the Publish requests that came on it.
func (s *Server) disconnected(c *conn) {
	s.engine.Disconnected(c.number)
	for _, removed := range s.sessions.disconnect(c) {
		s.aborted(removed)
	}
}

// aborted counts a session that was removed without CloseSession, and deletes its subscriptions.
func (s *Server) aborted(removed *session) {
	s.totals.aborts.Add(1)
	s.endSession(removed, true)
}

// Set sets a variable's newest DataValue, which must not be modified afterwards.
func (s *Server) Set(id rawvalue.NodeID, dataValue []byte) {
	s.values.set(id, dataValue)
	s.engine.Changed(id, dataValue)
}

// Remove removes a variable's value; items that monitor it report Bad_NodeIdUnknown.
func (s *Server) Remove(id rawvalue.NodeID) {
	s.values.remove(id)
	s.engine.Changed(id, rawvalue.AppendStatus(nil, ua.StatusBadNodeIDUnknown, rawvalue.Answer{}))
}

// SetMissing sets the status of variables without a value.
func (s *Server) SetMissing(code ua.StatusCode) { s.missingStatus.Store(uint32(code)) }

// SetNamespaces sets the NamespaceArray that is served until its value is Set.
func (s *Server) SetNamespaces(uris []string) { s.namespaces.Store(&uris) }

// SetState sets ServerState and ServiceLevel of the Server object.
func (s *Server) SetState(state ua.ServerState, serviceLevel byte) {
	s.serverState.Store(uint32(state))
	s.serviceLevel.Store(uint32(serviceLevel))
}

// CloseSessions closes all sessions and connections and refuses new sessions until Reopen:
// the NamespaceArray, and so the meaning of NodeIds, is about to change.
func (s *Server) CloseSessions(reason ua.StatusCode) {
	s.closed.Store(true)
	for _, removed := range s.sessions.removeAll() {
		s.aborted(removed)
	}
	s.engine.Reset()
	var failing sync.WaitGroup // concurrently: a client that does not receive must not delay the others
	for _, c := range s.connections() {
		failing.Go(func() { c.channel.Fail(reason, "the address space is replaced; connect again") })
	}
	failing.Wait()
}

// Reopen accepts sessions again.
func (s *Server) Reopen() { s.closed.Store(false) }

func (s *Server) connections() (list []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// Emit reports an event to clients, and records the state of its condition.
func (s *Server) Emit(ev *event.Event) { s.engine.Event(ev) }

// Forget drops a retained condition without an event, and asks clients to refresh.
func (s *Server) Forget(condition, branch rawvalue.NodeID) { s.engine.Forget(condition, branch) }

// StructureChanged reports changes of the address space with a model change event.
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
