package status

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/text"
)

const maxHost = 100 // bytes of a client's Host in the audit trail

// admit reports whether a request is allowed, and answers it if not. The name in its
// Host must be one of ours: a page of another site whose name was pointed at this
// address (DNS rebinding) carries that site's.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	if !s.ourHost(r.Host) {
		s.counts.HostsRefused.Add(1)
		s.audit("host_refused", r, fmt.Sprintf("a request to the status port for the name %q",
			text.Clip(r.Host, maxHost)))
		plain(w, http.StatusMisdirectedRequest, "this is not a name of this server: use its address, or add the "+
			"name to hosts in [status]\n")
		return false
	}
	if s.Verify == nil || r.URL.Path == "/healthz" {
		return true
	}
	name, password, given := r.BasicAuth()
	if given && s.Verify(name, password, remoteIP(r.RemoteAddr)) {
		// The wait for a turn to have a password compared is not the answer's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTimeout)) // a recorder has none
		return true
	}
	if given {
		s.counts.LoginsRefused.Add(1)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="heliograph", charset="UTF-8"`)
	plain(w, http.StatusUnauthorized, "name and password of the users file required\n")
	return false
}

// ourHost says whether a request's Host names this server.
func (s *Server) ourHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" {
		return true
	}
	names := s.Hosts
	for _, listen := range []string{s.Listen, s.UpdateListen} {
		if name, _, err := net.SplitHostPort(listen); err == nil {
			names = append(slices.Clone(names), name)
		}
	}
	if own, err := os.Hostname(); err == nil {
		names = append(slices.Clone(names), own)
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.ToLower(name) == host })
}
