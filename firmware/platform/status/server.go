// Package status shows how a role stands: a page for people, JSON for scripts,
// metrics for Prometheus, and the two probes of an orchestrator.
//
//	/             the page; it loads nothing but what is below /assets/, and shows itself without script, too
//	/status.json  Snapshot
//	/events       Snapshot each second: server-sent events "status", whose data is the JSON on one line; with ?page
//	              events "page", the parts of the page that have changed, as HTML
//	/history.json trend.History of ?span=10m, 1d or 1mo
//	/statement.json  what heliorx measures of the link, with ?nonce=HEX, signed (package statement); see Statement
//	/metrics      Prometheus text format, heliograph_<part>_<noun>_<unit>[_total]
//	/healthz      200 while the process answers
//	/readyz       200, or 503 with the reasons, one a line
//	/update       PUT alone, on a board: takes a signed update (see package release)
//
// Trust, rates and days left take more than one snapshot: an Observer of the role adds them.
//
// All but /update is read-only. The server refuses other methods, bodies, long headers, slow clients and names in
// Host that are not its own.
// It holds a bounded number of connections, shared among addresses: a new one always gets in. Without users it has
// no login, and without a
// certificate it answers in the clear: then it is meant for a trusted network or loopback. With users all but
// /healthz asks for a name and a password (RFC 7617).
package status

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/fairshare"
	"heliograph/firmware/platform/statement"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/trend"
)

// Our own bounds.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	loginTimeout   = 25 * time.Second // an answer, and before it the turn to have a password compared
	idleTimeout    = 30 * time.Second
	drainTimeout   = time.Second
	maxHeader      = 8 << 10 // bytes
	maxConnections = 64
)

// Server is the status server, a task.
type Server struct {
	Listen       string // host:port; port 0 takes any
	UpdateListen string // where /update is instead, and nothing else; "": at Listen
	// TLS is what a listener on each address needs; nil answers in the clear.
	TLS, UpdateTLS *tls.Config
	// Verify decides on a name and password, from a client's address; nil asks for none.
	Verify   func(name, password string, from netip.Addr) bool
	Hosts    []string // further names of this server
	Snapshot func() Snapshot
	Role     func() task.Reasons // why the role is not ready
	History  func(span string) (trend.History, bool)
	// Sign signs the text of a statement, as a measurement; nil: nothing is signed.
	Sign    func(text []byte) (statement.Statement, error)
	Updates Updates                  // takes what is put to /update; nil: nothing does
	Audit   func(event, text string) // takes security-relevant events; nil: they go to Log
	Log     *slog.Logger

	counts  Counts
	streams *streams
	signing signLimiter
	ending  context.Context // ends with Run; nil: not running

	observer Observer // of a role that has none

	mu    sync.Mutex
	bound string
}

// Counts are the counters of a status server.
type Counts struct {
	Evicted        atomic.Uint64 `count:"evicted_connections" help:"Connections closed for new ones: the longest idle of the address with most."`
	StreamsEvicted atomic.Uint64 `count:"evicted_streams" help:"Clients of live figures that made room for new ones, of the address with most."`
	HostsRefused   atomic.Uint64 `count:"refused_hosts_requests" help:"Requests for a name that is not this server's."`
	LoginsRefused  atomic.Uint64 `count:"refused_logins_requests" help:"Requests with a wrong name or password."`
	UpdatesTaken   atomic.Uint64 `count:"taken_updates" help:"Updates kept for installation."`
	UpdatesRefused atomic.Uint64 `count:"refused_updates" help:"Updates refused before installation."`

	StatementsSigned  atomic.Uint64 `count:"signed_statements" help:"Statements of the link's measurement that were signed for a client."`
	StatementsRefused atomic.Uint64 `count:"refused_statements" help:"Questions for a signed statement that were refused: out of turn, or without a nonce."`
}

// Counters implements counter.Source.
func (s *Server) Counters() []counter.Set {
	return []counter.Set{counter.Of("status_server", "", &s.counts)}
}

// String names the task in logs.
func (s *Server) String() string { return "status server" }

// Ready says whether the server listens. The role's own readiness does not
// depend on it: a client that gets an answer knows.
func (s *Server) Ready() error {
	if s.Address() == "" {
		return errors.New("not listening yet")
	}
	return nil
}

// Address returns where the server listens, "" before it does.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	s.ending = ctx
	listener, err := s.listen(ctx, s.Listen, s.TLS)
	if err != nil {
		return err
	}
	servers := []*http.Server{s.server(s.Handler())}
	served := make(chan error, 2)
	if s.UpdateListen != "" && s.Updates == nil {
		s.Log.Warn("update_listen is not opened: boards alone take updates", "listen", s.UpdateListen)
	}
	if s.UpdateListen != "" && s.Updates != nil {
		updates, err := s.listen(ctx, s.UpdateListen, s.UpdateTLS)
		if err != nil {
			_ = listener.Close() // the first error is returned
			return err
		}
		servers = append(servers, s.server(s.updateHandler()))
		go func() { served <- servers[1].Serve(updates) }()
	}
	s.mu.Lock()
	s.bound = listener.Addr().String()
	s.mu.Unlock()
	s.Log.Info("status page", "url", map[bool]string{false: "http://", true: "https://"}[s.TLS != nil]+
		listener.Addr().String()+"/")
	go func() { served <- servers[0].Serve(listener) }()
	select {
	case err = <-served:
		for _, server := range servers {
			_ = server.Close() // the first error is returned
		}
		return fmt.Errorf("status: serving: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for _, server := range servers {
		if server.Shutdown(drain) != nil {
			_ = server.Close() // clients that hang on: cut off
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("status: serving: %w", err)
		}
	}
	return nil
}

// listen shares the connections of an address among clients.
func (s *Server) listen(ctx context.Context, address string, secure *tls.Config) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("status: listening on %s: another program has this port, or the other role of the "+
			"pair on this machine: set another one in [status]", address)
	}
	if err != nil {
		return nil, fmt.Errorf("status: listening on %s: %w", address, err)
	}
	l = fair{l, fairshare.New[*shared](maxConnections), func(from net.Addr) {
		s.counts.Evicted.Add(1)
		s.Log.Debug("status: connection evicted", "client", from)
	}}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return l, nil
}

func (s *Server) server(h http.Handler) *http.Server {
	answer := requestTimeout
	if s.Verify != nil {
		answer = loginTimeout
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answer,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// no HTTP/2: one request at a time on a connection
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // what a client does wrong
	}
}

// Handler returns the routes, with the rules that hold for each.
func (s *Server) Handler() http.Handler {
	s.streams = newStreams()
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.page)
	mux.HandleFunc("/status.json", s.json)
	mux.HandleFunc("/events", s.events)
	mux.HandleFunc("/history.json", s.history)
	mux.HandleFunc(statementPath, s.statement)
	mux.Handle("/metrics", s.metrics())
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/assets/", serveAsset)
	return s.guarded(mux, s.UpdateListen == "")
}

// updateHandler is that of a listener for updates alone.
func (s *Server) updateHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", healthy)
	return s.guarded(mux, true)
}

func (s *Server) guarded(mux *http.ServeMux, updates bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			h.Set("Connection", "close") // a body that is not taken stays unread
		}
		if !s.admit(w, r) {
			return
		}
		if r.URL.Path == "/update" && r.Method == http.MethodPut && s.Updates != nil {
			if !updates {
				plain(w, http.StatusForbidden, "updates are accepted at update_listen only\n")
				return
			}
			s.update(w, r)
			return
		}
		if methods := readBy(r.URL.Path); !slices.Contains(methods, r.Method) {
			h.Set("Allow", strings.Join(methods, ", "))
			plain(w, http.StatusMethodNotAllowed, "read only: "+strings.Join(methods, " or ")+"\n")
			return
		}
		if r.ContentLength != 0 {
			plain(w, http.StatusBadRequest, "a request here has no body\n")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// readBy returns the methods that read what a path has.
func readBy(path string) []string {
	if path == statementPath {
		return []string{http.MethodGet}
	}
	return []string{http.MethodGet, http.MethodHead}
}

func healthy(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// audit records what a client did that is relevant to security.
func (s *Server) audit(event string, r *http.Request, text string) {
	if s.Audit == nil {
		s.Log.Warn(text, "audit", event, "client", r.RemoteAddr)
		return
	}
	s.Audit(event, text+", from "+remoteIP(r.RemoteAddr).String())
}

// snapshot asks the role and adds what the server knows.
func (s *Server) snapshot() Snapshot {
	now, snap := time.Now(), s.Snapshot()
	if ready := s.Role(); snap.Trust == nil {
		s.observer.Observe(now, &snap, ready)
	} else {
		snap.SetReady(ready)
	}
	if s.Updates != nil {
		snap.Release = s.Updates.Running()
	}
	if snap.Channels == nil {
		snap.Channels = map[string]Channel{}
	}
	if snap.Boards == nil {
		snap.Boards = []Board{}
	}
	if snap.Clients == nil {
		snap.Clients = []Client{}
	}
	if snap.Peers == nil {
		snap.Peers = []Peer{}
	}
	if snap.Counters == nil {
		snap.Counters = []counter.Set{}
	}
	if snap.Certificates == nil {
		snap.Certificates = []Certificate{}
	}
	if snap.Notes == nil {
		snap.Notes = []Note{}
	}
	return snap
}

func (s *Server) json(w http.ResponseWriter, _ *http.Request) {
	body, err := json.MarshalIndent(s.snapshot(), "", "  ")
	if err != nil {
		s.Log.Error("status: encoding", "error", err)
		plain(w, http.StatusInternalServerError, "the snapshot does not encode\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that has gone
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := renderPage(&body, s.snapshot(), time.Now()); err != nil {
		s.Log.Error("status: page", "error", err)
		plain(w, http.StatusInternalServerError, "the page does not render\n")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // a client that has gone
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if reasons := s.Role(); len(reasons) > 0 {
		plain(w, http.StatusServiceUnavailable, strings.Join(reasons.Lines(), "\n")+"\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a client that has gone
}
