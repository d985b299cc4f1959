package pki

import (
	"crypto/x509"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Overlooked is a check that fails for a certificate in use and is suppressed.
type Overlooked struct {
	Code ua.StatusCode
	Fact string // what is wrong, with the certificate as its subject: "expired 2024-05-01"
}

// Overlooked returns what is suppressed of a certificate that Check accepts.
func (s *Store) Overlooked(chain []*x509.Certificate, p Purpose) (list []Overlooked) {
	if len(chain) == 0 {
		return nil
	}
	s.mu.RLock()
	known, now := s.peers, s.now()
	if p.User {
		known = s.users
	}
	s.mu.RUnlock()
	failed, suppressed := known.validate(chain, p, now, s.cfg.TolerateUnknownRevocation)
	if failed != nil {
		return nil
	}
	for _, one := range suppressed {
		list = append(list, Overlooked{one.code, fact(chain[0], p.Host, one.code, now)})
	}
	return list
}

func fact(c *x509.Certificate, host string, code ua.StatusCode, now time.Time) string {
	switch {
	case code == ua.StatusBadCertificateHostNameInvalid:
		return "does not name host " + printable(host, 60)
	case code == ua.StatusBadCertificateIssuerTimeInvalid:
		return "has an issuer that is expired or not valid yet"
	case now.After(c.NotAfter):
		return "expired " + c.NotAfter.UTC().Format(time.DateOnly)
	}
	return "is not valid before " + c.NotBefore.UTC().Format(time.DateOnly)
}
