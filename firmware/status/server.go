// Package status shows how a role stands: a page for people, JSON for scripts,
// metrics for Prometheus, and the two probes of an orchestrator.
//
//	/             the page; it loads nothing from elsewhere and runs no script
//	/status.json  Snapshot
//	/metrics      Prometheus text format, heliograph_<part>_<noun>_<unit>[_total]
//	/healthz      200 while the process answers
//	/readyz       200, or 503 with the reasons, one a line
//	/update       PUT alone, on a board: takes a signed update (see package update)
//
// All but /update is read-only. The server refuses other methods, bodies, long headers and slow clients, and holds a bounded number of
// connections. It has no login: it is meant for a trusted network or loopback.
package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"heliograph/firmware/counter"
)

// Our own bounds.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second
	drainTimeout   = time.Second
	maxHeader      = 8 << 10 // bytes
	maxConnections = 64
	maxUpdate      = 160 << 20 // bytes: both parts of a release, and room
	updateTimeout  = 10 * time.Minute
)

// Server is the status server, a task.
type Server struct {
	Listen   string // host:port; port 0 takes any
	Snapshot func() Snapshot
	Role     func() error // why the role is not ready, one reason a line; nil when it is
	// Update takes a file that is put to /update, and returns when it is kept for
	// whoever installs it; nil refuses it. It decides nothing about the file.
	Update func(io.Reader) error
	Log    *slog.Logger

	mu       sync.Mutex
	bound    string
	updating sync.Mutex
}

// String names the task in logs.
func (s *Server) String() string { return "status server" }

// Ready says whether the server listens. The role's own readiness does not
// wait for it: who asks over HTTP has his answer.
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
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("status: listening on %s: %w", s.Listen, err)
	}
	s.mu.Lock()
	s.bound = listener.Addr().String()
	s.mu.Unlock()
	s.Log.Info("status page", "url", "http://"+listener.Addr().String()+"/")
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // what a client does wrong
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("status: serving: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if server.Shutdown(drain) != nil {
		_ = server.Close() // clients that hang on: cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status: serving: %w", err)
	}
	return nil
}

// Handler returns the routes, with the rules that hold for each.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.page)
	mux.HandleFunc("/status.json", s.json)
	mux.Handle("/metrics", s.metrics())
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("/readyz", s.readyz)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.URL.Path == "/update" && r.Method == http.MethodPut && s.Update != nil {
			s.update(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "read only: GET or HEAD\n")
			return
		}
		if r.ContentLength != 0 {
			h.Set("Connection", "close") // its body stays unread
			plain(w, http.StatusBadRequest, "a request here has no body\n")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// update takes a file. Who may is not asked here: only a signed file is installed.
func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if c.SetReadDeadline(time.Now().Add(updateTimeout)) != nil || c.SetWriteDeadline(time.Now().Add(updateTimeout)) != nil {
		plain(w, http.StatusInternalServerError, "no deadline can be set\n")
		return
	}
	if !s.updating.TryLock() {
		plain(w, http.StatusConflict, "another update is on its way: try again later\n")
		return
	}
	defer s.updating.Unlock()
	if err := s.Update(http.MaxBytesReader(w, r.Body, maxUpdate)); err != nil {
		s.Log.Warn("status: an update was not taken", "client", r.RemoteAddr, "error", err)
		plain(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	s.Log.Warn("status: an update has arrived", "client", r.RemoteAddr)
	plain(w, http.StatusAccepted, "The update has arrived. If its signature is good it is installed and tried; the board's log and its version say so.\n")
}

// snapshot asks the role and adds what the server knows.
func (s *Server) snapshot() Snapshot {
	snap := s.Snapshot()
	snap.SetReady(s.Role())
	if snap.Channels == nil {
		snap.Channels = map[string]Channel{}
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
	if err := renderPage(&body, s.snapshot()); err != nil {
		s.Log.Error("status: page", "error", err)
		plain(w, http.StatusInternalServerError, "the page does not render\n")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // a client that has gone
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.Role(); err != nil {
		plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a client that has gone
}
