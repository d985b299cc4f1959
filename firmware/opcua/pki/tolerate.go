package pki

import (
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Tolerance names the steps of the validation that an administrator suppresses (OPC
// 10000-4 §6.1.3) for certificates that are themselves trusted, not for all that a trusted
// CA signs.
type Tolerance struct {
	HostName bool // it may name another host than its endpoint
	Dates    bool // it, and its issuers, may be expired or not valid yet
}

// suppresses reports whether a step may fail.
func (t Tolerance) suppresses(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadCertificateHostNameInvalid:
		return t.HostName
	case ua.StatusBadCertificateTimeInvalid, ua.StatusBadCertificateIssuerTimeInvalid:
		return t.Dates
	}
	return false
}

// Stats counts what a Store tolerated.
type Stats struct {
	Certificates int    `gauge:"tolerated_certificates" help:"Trusted certificates accepted with a wrong host name or dates."`
	Checks       uint64 `count:"tolerated_checks" help:"Times that such a certificate was accepted."`
}

// tolerated records the certificates that were accepted despite a failed step.
type tolerated struct {
	mu     sync.Mutex
	logged map[string]time.Time // by thumbprint and code: when it was last logged
	known  map[string]bool      // thumbprints
	checks uint64
}

// Our own choices.
const (
	logAgain     = 24 * time.Hour
	maxTolerated = 1000 // certificates that are counted: the folder can hold any number
)

// count counts a certificate, and reports whether to log it.
func (t *tolerated) count(thumbprint string, code ua.StatusCode, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checks++
	if t.known == nil {
		t.logged, t.known = map[string]time.Time{}, map[string]bool{}
	}
	if len(t.known) < maxTolerated {
		t.known[thumbprint] = true
	}
	key := fmt.Sprint(thumbprint, code)
	last, logged := t.logged[key]
	if logged && now.Sub(last) < logAgain || len(t.logged) >= 2*maxTolerated {
		return false
	}
	t.logged[key] = now
	return true
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	s.tolerated.mu.Lock()
	defer s.tolerated.mu.Unlock()
	return Stats{Certificates: len(s.tolerated.known), Checks: s.tolerated.checks}
}

// logSuppressed counts and logs the steps that failed and were suppressed.
func (s *Store) logSuppressed(c *x509.Certificate, list []step, from string, now time.Time) {
	thumbprint := Thumbprint(c.Raw)
	for _, failed := range list {
		if s.tolerated.count(thumbprint, failed.code, now) {
			s.cfg.Log.Warn("certificate accepted despite a failed check, as configured",
				"error", failed.reason, "peer", from, "thumbprint", thumbprint,
				"subject", printable(c.Subject.String(), 200))
		}
	}
}

// Obstacles lists what a trusted certificate needs besides trust to be accepted: by a
// transmitter (role tx) as a server's, by a mirror (rx) as a client's, or as a user's.
// Without a role it lists what either needs.
func (s *Store) Obstacles(c *x509.Certificate, role string, user bool) (list []string) {
	s.mu.RLock()
	known, now := s.peers, s.now()
	if user {
		known = s.users
	}
	s.mu.RUnlock()
	everything := Tolerance{HostName: true, Dates: true}
	validate := func(p Purpose) (*step, []step) {
		return known.validate([]*x509.Certificate{c}, p, now, s.cfg.TolerateUnknownRevocation)
	}
	failed, suppressed := validate(Purpose{User: user, Tolerate: everything})
	asServer, _ := validate(Purpose{User: user, Server: true, Tolerate: everything})
	if failed != nil && asServer == nil {
		failed = nil // it is for servers only
	}
	if failed != nil {
		list = append(list, failed.reason+": this cannot be tolerated")
	}
	for _, one := range suppressed {
		list = append(list, one.reason+": "+remedy(c, role, user))
	}
	if hosts := namedHosts(c); !user && role != "rx" && mayServe(c) && failed == nil {
		list = append(list,
			"as a server's certificate it names "+hosts+": for an endpoint with another host "+
				"set tolerate = [\"host_name\"] in the transmitter's channel")
	}
	return list
}

// remedy says what to do about the validity period of a certificate.
func remedy(c *x509.Certificate, role string, user bool) string {
	server := "set tolerate = [\"dates\"] in the transmitter's channel"
	client := fmt.Sprintf("tolerate_expired = [%q] in the mirror's", Thumbprint(c.Raw))
	switch {
	case user:
		return "the user needs another certificate"
	case role == "tx":
		return server
	case role == "rx":
		return "set " + client
	}
	return server + ", or " + client
}

func mayServe(c *x509.Certificate) bool {
	return checkUsage([]*x509.Certificate{c}, Purpose{Server: true}) == nil
}

// namedHosts returns the hosts that a certificate names, as text.
func namedHosts(c *x509.Certificate) string {
	hosts := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	if len(hosts) == 0 {
		return "no host"
	}
	return printable(strings.Join(hosts, ", "), 200)
}
