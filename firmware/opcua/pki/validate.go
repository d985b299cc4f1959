package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Our own choices.
const (
	minBits = 2048 // of an RSA key
	maxBits = 4096
)

// Purpose is what a certificate is to be used for.
type Purpose struct {
	User           bool   // a user's certificate: trusted_users decides, and no application fields are checked
	Server         bool   // a server's certificate: its host must match
	ApplicationURI string // that it must name; "" is not checked
	Host           string // of the endpoint, that it must name; "" is not checked
	Tolerate       Tolerance
}

// Error says why a certificate was rejected.
type Error struct {
	Code       ua.StatusCode
	Reason     string
	Thumbprint string
	Subject    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("pki: certificate %s (%s): %s: %v", e.Thumbprint, e.Subject, e.Reason, e.Code)
}

// Unwrap gives the status code to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Code }

// roots is the content of the folders when they were last read.
type roots struct {
	trusted []*x509.Certificate
	issuers []*x509.Certificate
	lists   []*x509.RevocationList
}

// step is one failure of the validation.
type step struct {
	code   ua.StatusCode
	reason string
}

// validate does the steps of OPC 10000-4 §6.1.3 in order. It returns the first one that
// fails, or nil, and those that failed but are suppressed.
func (r *roots) validate(
	sent []*x509.Certificate, p Purpose, now time.Time, tolerateUnknownRevocation bool,
) (failed *step, suppressed []step) {
	leaf := sent[0]
	fails := func(s *step) bool {
		if s != nil && p.Tolerate.suppresses(s.code) && contains(r.trusted, leaf) {
			suppressed = append(suppressed, *s)
			return false
		}
		failed = s
		return s != nil
	}
	if fails(checkKey(leaf, maxBits)) {
		return failed, nil
	}
	b := builder{trusted: r.trusted, pool: slices.Concat(sent[1:], r.issuers, r.trusted)}
	chain, s := b.build(leaf)
	if fails(s) {
		return failed, nil
	}
	for _, c := range chain {
		if fails(checkSignatureAlgorithm(c)) {
			return failed, nil
		}
	}
	if !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return contains(r.trusted, c) }) {
		return &step{ua.StatusBadCertificateUntrusted, "neither it nor an issuer of it is trusted"}, nil
	}
	if fails(checkTimes(chain, now)) || fails(checkHost(leaf, p)) || fails(checkApplication(leaf, p)) ||
		fails(checkUsage(chain, p)) ||
		fails(r.checkRevocation(chain, now, tolerateUnknownRevocation)) {
		return failed, nil
	}
	return nil, suppressed
}

func checkKey(c *x509.Certificate, most int) *step {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return &step{ua.StatusBadCertificateInvalid, "its key is not RSA"}
	}
	if n := key.N.BitLen(); n < minBits || n > most {
		return &step{ua.StatusBadCertificatePolicyCheckFailed,
			fmt.Sprintf("its RSA key has %d bits, %d to %d are allowed", n, minBits, most)}
	}
	return nil
}

func checkSignatureAlgorithm(c *x509.Certificate) *step {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return nil
	}
	return &step{ua.StatusBadCertificatePolicyCheckFailed,
		"its signature algorithm is " + c.SignatureAlgorithm.String() + ", SHA-256 or better is required"}
}

func checkTimes(chain []*x509.Certificate, now time.Time) *step {
	for i, c := range chain {
		if !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			continue
		}
		s := &step{ua.StatusBadCertificateTimeInvalid, ""}
		if i > 0 {
			s.code = ua.StatusBadCertificateIssuerTimeInvalid
		}
		s.reason = fmt.Sprintf("%s is valid from %s to %s, and the time is %s", subjectOf(i),
			c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly),
			now.UTC().Format(time.RFC3339))
		return s
	}
	return nil
}

func subjectOf(i int) string {
	if i > 0 {
		return "an issuer"
	}
	return "it"
}

func checkHost(c *x509.Certificate, p Purpose) *step {
	if !p.User && p.Server && p.Host != "" && !namesHost(c, p.Host) {
		return &step{ua.StatusBadCertificateHostNameInvalid,
			fmt.Sprintf("it does not name the endpoint's host %s", printable(p.Host, 100))}
	}
	return nil
}

func checkApplication(c *x509.Certificate, p Purpose) *step {
	if !p.User && p.ApplicationURI != "" && (len(c.URIs) == 0 || c.URIs[0].String() != p.ApplicationURI) {
		return &step{ua.StatusBadCertificateURIInvalid, fmt.Sprintf("it does not name the application URI %s",
			printable(p.ApplicationURI, 100))}
	}
	return nil
}

func namesHost(c *x509.Certificate, host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return slices.ContainsFunc(c.IPAddresses, ip.Equal) || slices.Contains(c.DNSNames, host)
	}
	return slices.ContainsFunc(c.DNSNames, func(n string) bool {
		return strings.EqualFold(strings.TrimSuffix(n, "."), strings.TrimSuffix(host, "."))
	})
}

func checkUsage(chain []*x509.Certificate, p Purpose) *step {
	leaf := chain[0]
	want := x509.KeyUsageDigitalSignature
	if !p.User {
		want |= x509.KeyUsageKeyEncipherment
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&want != want {
		return &step{ua.StatusBadCertificateUseNotAllowed,
			"its key usage does not include what is needed: digitalSignature, and keyEncipherment for an application"}
	}
	ext := x509.ExtKeyUsageClientAuth
	if p.Server {
		ext = x509.ExtKeyUsageServerAuth
	}
	if n := len(leaf.ExtKeyUsage) + len(leaf.UnknownExtKeyUsage); !p.User && n > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, ext) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return &step{ua.StatusBadCertificateUseNotAllowed, "its extended key usage does not include this role"}
	}
	for i, c := range chain[1:] {
		bad := !c.IsCA || !c.BasicConstraintsValid || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 ||
			c.MaxPathLenZero && i > 0 || c.MaxPathLen > 0 && i > c.MaxPathLen
		if bad {
			return &step{ua.StatusBadCertificateIssuerUseNotAllowed, "an issuer is not allowed to sign certificates"}
		}
		if constrained(c) {
			return &step{ua.StatusBadCertificateIssuerUseNotAllowed,
				"an issuer has name constraints, which are not supported: trust the certificate itself"}
		}
	}
	for _, c := range chain {
		if len(c.UnhandledCriticalExtensions) > 0 {
			return &step{ua.StatusBadCertificateInvalid, "it has a critical extension that is not supported"}
		}
	}
	return nil
}

// constrained reports whether a CA may sign for some names only (RFC 5280 §4.2.1.10).
func constrained(c *x509.Certificate) bool {
	return c.PermittedDNSDomainsCritical || len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+
		len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+
		len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}

// checkRevocation searches the lists of each certificate's issuer for it.
func (r *roots) checkRevocation(chain []*x509.Certificate, now time.Time, tolerateUnknown bool) *step {
	for i, c := range chain[:len(chain)-1] {
		issuer := chain[i+1]
		unknown, revoked := ua.StatusBadCertificateRevocationUnknown, ua.StatusBadCertificateRevoked
		if i > 0 {
			unknown, revoked = ua.StatusBadCertificateIssuerRevocationUnknown, ua.StatusBadCertificateIssuerRevoked
		}
		known := false
		for _, l := range r.lists {
			if !bytes.Equal(l.RawIssuer, issuer.RawSubject) || l.CheckSignatureFrom(issuer) != nil {
				continue
			}
			// An outdated list still revokes what it names, but does not clear the others.
			known = known || l.NextUpdate.IsZero() || now.Before(l.NextUpdate)
			for _, e := range l.RevokedCertificateEntries {
				if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
					return &step{revoked, subjectOf(i) + " was revoked by " + printable(issuer.Subject.String(), 100)}
				}
			}
		}
		if !known && !tolerateUnknown {
			return &step{unknown, fmt.Sprintf("the current revocation list of %s is missing: put it into %s",
				printable(issuer.Subject.String(), 100), issuerCRL)}
		}
	}
	return nil
}
