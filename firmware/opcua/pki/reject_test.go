package pki

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRejectedCertificateIsSavedAndLoggedWithTrustCommand(t *testing.T) {
	dir := t.TempDir()
	var reported []string
	s, log := newStore(t, dir, func(c *Config) {
		c.Rejected = func(text string, n uint64) { reported = append(reported, fmt.Sprint(n, " ", text)) }
	})
	peer := issue(t, "UaExpert@LAB7\n\x1b[2J/../../evil", keys()[0], nil)
	chain := []*x509.Certificate{peer.cert}
	if s.Check(chain, Purpose{}, "10.0.0.9") == nil {
		t.Fatal("an unknown certificate was trusted")
	}
	thumbprint := Thumbprint(peer.cert.Raw)
	for _, want := range []string{thumbprint, "UaExpert@LAB7", "10.0.0.9", "BadCertificateUntrusted",
		fmt.Sprintf("heliograph trust add --pki %s %s", dir, thumbprint)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Count(log.String(), "\n") != 1 || strings.Contains(log.String(), "\x1b") {
		t.Errorf("the certificate wrote into the log: %q", log)
	}
	if len(reported) != 1 || !strings.HasPrefix(reported[0], "1 certificate "+thumbprint) ||
		!strings.Contains(reported[0], "from 10.0.0.9") {
		t.Errorf("reported %q, want the one certificate and its address", reported)
	}
	if _, err := s.Trust(thumbprint[:8], false); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(chain, Purpose{}, "10.0.0.9"); err != nil {
		t.Errorf("after trusting it: %v", err)
	}
	if got := s.List(KindRejected); len(got) != 0 {
		t.Errorf("rejected: got %d, want none", len(got))
	}
	if _, err := s.Distrust(thumbprint); err != nil {
		t.Fatal(err)
	}
	if s.Check(chain, Purpose{}, "10.0.0.9") == nil {
		t.Error("a distrusted certificate was trusted")
	}
	if s.Check(chain, Purpose{User: true}, "10.0.0.9") == nil {
		t.Error("a peer's certificate was accepted as a user's")
	}
}

func TestFloodOfBadCertificatesIsBounded(t *testing.T) {
	clock := now
	s, log := newStore(t, t.TempDir(), func(c *Config) { c.Now = func() time.Time { return clock } })
	honest := issue(t, "honest", keys()[0], nil)
	_ = s.Check([]*x509.Certificate{honest.cert}, Purpose{}, "10.0.0.1")
	long := func(c *x509.Certificate) { c.NotAfter = now.Add(10000 * time.Hour) }
	for i := range 300 { // each a new certificate
		bad := issue(t, fmt.Sprint("flood", i), keys()[1], nil, long)
		_ = s.Check([]*x509.Certificate{bad.cert}, Purpose{}, "10.0.0.66")
		clock = clock.Add(20 * time.Second)
	}
	got := s.List(KindRejected)
	if len(got) > maxRejected {
		t.Errorf("rejected/ holds %d files, want at most %d", len(got), maxRejected)
	}
	found := false
	for _, e := range got {
		found = found || e.Certificate.Equal(honest.cert)
	}
	if !found {
		t.Error("the flood of one address displaced another's certificate")
	}
	before := strings.Count(log.String(), "\n")
	for i := range 200 { // as fast as it goes
		bad := issue(t, fmt.Sprint("fast", i), keys()[1], nil, long)
		_ = s.Check([]*x509.Certificate{bad.cert}, Purpose{}, "10.0.0.77")
	}
	if lines := strings.Count(log.String(), "\n") - before; lines > burst {
		t.Errorf("200 certificates at once wrote %d lines, want at most %d", lines, burst)
	}
}
