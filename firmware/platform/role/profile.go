package role

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// profileHeaderTimeout bounds how long a client may take to send a request's header.
const profileHeaderTimeout = 10 * time.Second

// parseProfileAddress accepts loopback addresses alone: a profile shows what
// memory and command line hold, and asks for no password.
func parseProfileAddress(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return a, errors.New("must be 127.0.0.1:PORT or [::1]:PORT")
	case !a.Addr().IsLoopback():
		return a, fmt.Errorf("%s is not a loopback address: profiles are served to this machine alone, "+
			"use 127.0.0.1:PORT or [::1]:PORT", a.Addr())
	}
	return a, nil
}

// profileServer serves the handlers of net/http/pprof on an address of loopback.
type profileServer struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{}
}

// serveProfiles starts a profileServer. To be closed.
func serveProfiles(address netip.AddrPort, log *slog.Logger) (*profileServer, error) {
	l, err := net.Listen("tcp", address.String())
	if err != nil {
		return nil, fmt.Errorf("--pprof: %w", err)
	}
	s := &profileServer{listener: l, ended: make(chan struct{})}
	s.server = &http.Server{Handler: profileHandler(l.Addr().String()), ReadHeaderTimeout: profileHeaderTimeout}
	go func() {
		defer close(s.ended)
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("profiles not served", "error", err)
		}
	}()
	log.Info("serving profiles", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	return s, nil
}

// Close ends the server, and requests that still run.
func (s *profileServer) Close() {
	_ = s.server.Close() // the listener's error says nothing that matters at the end
	<-s.ended
}

// profileHandler answers requests to host alone, so that a web page cannot reach
// it through a name of its own.
func profileHandler(host string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "use http://"+host+"/debug/pprof/", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
