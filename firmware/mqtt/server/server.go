// Package server serves a broker (package broker) on a listener: it accepts
// connections, reads packets, writes what the broker has for each client, and
// passes it the time.
//
// Every read and write has a deadline. A connection has ten seconds for TLS and
// CONNECT; a packet is refused by its length before it is read. There is room
// for a fixed number of connections, and a new one always gets in: the longest
// idle one of the address that holds most makes room. A client that reads slowly
// holds up no one else; one that stops reading is closed when a write has waited
// for 20 seconds, or its session holds more than its share.
//
// The package refuses to retry a listener that broke, and to log a client's
// packets: what is refused is counted.
package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/broker"
	"heliograph/firmware/platform/fairshare"
)

// Our own bounds.
const (
	connectTime = 10 * time.Second // for TLS and CONNECT
	writeTime   = 20 * time.Second // for writeBytes
	byeTime     = 2 * time.Second  // for the last bytes
	writeBytes  = 64 << 10         // written of a message at a time
	scanPause   = 5 * time.Millisecond
	logEvery    = 30 * time.Second // between two log lines about evictions
)

// Config is what a server is given.
type Config struct {
	TLS         *tls.Config                                       // nil: none
	Verify      func(name, password string, from netip.Addr) bool // nil: everyone may read
	Connections int                                               // 0: 100
	Broker      broker.Config
	Log         *slog.Logger
}

// Stats is what a server has done.
type Stats struct {
	broker.Stats
	EvictedConnections uint64 `count:"evicted_connections" help:"Connections closed to make room: the longest idle of the address that held most."`
}

// Server serves the clients of one listener.
type Server struct {
	cfg   Config
	ln    net.Listener
	table *fairshare.Table[*client]
	done  chan struct{}
	ended sync.Once
	all   sync.WaitGroup

	mu      sync.Mutex
	broker  *broker.Broker
	clients map[*client]struct{}
	closed  bool
}

// New makes a server on a listener, which it owns. Messages may be published
// at once; clients are accepted when Serve runs.
func New(ln net.Listener, cfg Config) *Server {
	if cfg.Connections == 0 {
		cfg.Connections = 100
	}
	return &Server{
		cfg: cfg, ln: ln, table: fairshare.New[*client](cfg.Connections), done: make(chan struct{}),
		broker: broker.New(cfg.Broker, fmt.Sprintf("auto-%x", time.Now().UnixNano())), clients: map[*client]struct{}{},
	}
}

// Serve accepts clients until the listener breaks, whose error it returns, or
// Close, which is nil.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.all.Add(1)
	s.mu.Unlock()
	go s.maintain()
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			select {
			case <-s.done:
				return nil
			default:
				return err
			}
		}
		s.accept(conn)
	}
}

// keepAlive ends a connection whose client is gone within half a minute.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// accept serves one connection.
func (s *Server) accept(conn net.Conn) {
	address := addressOf(conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive())
	}
	k := &client{server: s, address: address, since: time.Now(), conn: conn, raw: conn, signal: make(chan struct{}, 1)}
	if s.cfg.TLS != nil {
		k.conn = tls.Server(below{conn, k}, s.cfg.TLS)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		conn.Close()
		return
	}
	k.peer = s.broker.Accept(fairshare.Of(address), k.wake)
	s.clients[k] = struct{}{}
	s.all.Add(1)
	s.mu.Unlock()
	if evicted, full := s.table.Add(k, address, time.Now()); full {
		evicted.raw.Close()
	}
	go k.serve()
}

func addressOf(conn net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}

// maintain ends sessions that expired, and logs evictions.
func (s *Server) maintain() {
	defer s.all.Done()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var logged uint64
	var last time.Time
	for {
		select {
		case <-s.done:
			return
		case now := <-second.C:
			s.mu.Lock()
			s.broker.Expire(now)
			victim := s.broker.Victim()
			s.mu.Unlock()
			st := s.Stats()
			if n := st.Evicted + st.EvictedConnections; n != logged && now.Sub(last) >= logEvery {
				s.cfg.Log.Warn("evicted clients that read too slowly, or are too many",
					"sessions", st.Evicted, "connections", st.EvictedConnections, "last", victim, "held_bytes", st.Held)
				logged, last = n, now
			}
		}
	}
}

// Publish sends a message to every session that subscribed to its topic; left is
// how many seconds it lives, if it expires.
func (s *Server) Publish(m *payload.Message, left uint32) {
	out := broker.NewMessage(m, left, time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broker.Publish(out)
}

// Lagging reports whether clients that read need a moment before more is published.
func (s *Server) Lagging() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broker.Lagging(time.Now())
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Stats: s.broker.Stats(), EvictedConnections: s.table.Evicted()}
}

// Client is one that is connected.
type Client struct {
	Address netip.Addr
	User    string // that logged in; "": none
	ID      string // client identifier
	Since   time.Time
}

// Clients returns the clients that are connected, in no order.
func (s *Server) Clients() (list []Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.clients {
		if id, user, connected := k.peer.Client(); connected {
			list = append(list, Client{k.address.Unmap(), user, id, k.since})
		}
	}
	return list
}

// Address is where the server listens.
func (s *Server) Address() string { return s.ln.Addr().String() }

// Close ends the listener and all connections, and waits a few seconds for them
// at most.
func (s *Server) Close() {
	s.ended.Do(func() {
		close(s.done)
		s.ln.Close()
		s.mu.Lock()
		s.closed = true
		for k := range s.clients {
			k.peer.Shutdown()
		}
		s.mu.Unlock()
	})
	s.all.Wait()
}
