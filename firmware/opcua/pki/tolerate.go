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
// 10000-4 §6.1.3), for certificates that are trusted themselves: not for all that a
// trusted CA signs.
type Tolerance struct {
	HostName bool // it may name another host than its endpoint
	Dates    bool // it, and its issuers, may be expired or not valid yet
}

// suppresses tells whether a step may fail.
func (t Tolerance) suppresses(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadCertificateHostNameInvalid:
		return t.HostName
	case ua.StatusBadCertificateTimeInvalid, ua.StatusBadCertificateIssuerTimeInvalid:
		return t.Dates
	}
	return false
}

// Stats counts what a Store overlooked.
type Stats struct {
	Certificates int    `gauge:"tolerated_certificates" help:"Trusted certificates in use though their host name or dates are wrong, as configured."`
	Checks       uint64 `count:"tolerated_checks" help:"Times that such a certificate was let through."`
}

// tolerated remembers the certificates that were let through.
type tolerated struct {
	mu     sync.Mutex
	said   map[string]time.Time // by thumbprint and code: the last line in the log
	known  map[string]bool      // thumbprints
	checks uint64
}

// Our own choices.
const (
	sayAgain     = 24 * time.Hour
	maxTolerated = 1000 // certificates that are counted: the folder can hold any number
)

// note counts a certificate, and tells whether the log is to say so.
func (t *tolerated) note(thumbprint string, code ua.StatusCode, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checks++
	if t.known == nil {
		t.said, t.known = map[string]time.Time{}, map[string]bool{}
	}
	if len(t.known) < maxTolerated {
		t.known[thumbprint] = true
	}
	key := fmt.Sprint(thumbprint, code)
	last, said := t.said[key]
	if said && now.Sub(last) < sayAgain || len(t.said) >= 2*maxTolerated {
		return false
	}
	t.said[key] = now
	return true
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	s.tolerated.mu.Lock()
	defer s.tolerated.mu.Unlock()
	return Stats{Certificates: len(s.tolerated.known), Checks: s.tolerated.checks}
}

// overlook says which failures were suppressed.
func (s *Store) overlook(c *x509.Certificate, list []step, from string, now time.Time) {
	thumbprint := Thumbprint(c.Raw)
	for _, failed := range list {
		if s.tolerated.note(thumbprint, failed.code, now) {
			s.cfg.Log.Warn("pki: a trusted certificate is let through though a check fails, as configured", "peer", from, "thumbprint", thumbprint,
				"subject", printable(c.Subject.String(), 200), "reason", failed.reason)
		}
	}
}

// Obstacles tells what else than trust a certificate needs to be accepted: by a
// transmitter from a server, by a mirror from a client, or as a user's. It is for
// certificates that are trusted already.
func (s *Store) Obstacles(c *x509.Certificate, user bool) (list []string) {
	s.mu.RLock()
	known, now := s.peers, s.now()
	if user {
		known = s.users
	}
	s.mu.RUnlock()
	everything := Tolerance{HostName: true, Dates: true}
	failed, suppressed := known.judge([]*x509.Certificate{c}, Purpose{User: user, Tolerate: everything}, now, s.cfg.TolerateUnknownRevocation)
	if asServer, _ := known.judge([]*x509.Certificate{c}, Purpose{User: user, Server: true, Tolerate: everything}, now, s.cfg.TolerateUnknownRevocation); failed != nil && asServer == nil {
		failed = nil // a server's alone
	}
	if failed != nil {
		list = append(list, failed.reason+": that cannot be overlooked")
	}
	for _, one := range suppressed {
		text := one.reason
		if user {
			text += ": the user needs another certificate"
		} else {
			text += fmt.Sprintf(": a transmitter's channel needs tolerate = [\"dates\"], a mirror's tolerate_expired = [%q]", Thumbprint(c.Raw))
		}
		list = append(list, text)
	}
	if hosts := namedHosts(c); !user && mayServe(c) && failed == nil {
		list = append(list, "if it is a server's: it names "+hosts+"; an endpoint with another host needs tolerate = [\"host_name\"] in the transmitter's channel")
	}
	return list
}

func mayServe(c *x509.Certificate) bool {
	return checkUsage([]*x509.Certificate{c}, Purpose{Server: true}) == nil
}

// namedHosts lists the hosts that a certificate names, for an operator.
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
