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

// TestEveryCopyOfACertificateIsMoved: one may be in several files, and trusted as an application's
// and as a user's.
func TestEveryCopyOfACertificateIsMoved(t *testing.T) {
	dir := t.TempDir()
	s, _ := newStore(t, dir)
	peer, other := issue(t, "peer", keys()[0], nil), issue(t, "other", keys()[1], nil)
	thumbprint := Thumbprint(peer.cert.Raw)
	for _, sub := range []string{"trusted/certs", "trusted_users/certs", "rejected/certs", "rejected"} {
		put(t, dir, sub, peer.cert.Raw, "first.der")
		put(t, dir, sub, asPEM("CERTIFICATE", peer.cert.Raw), "second.pem")
		put(t, dir, sub, other.cert.Raw, "other.der")
	}
	s.Reload()
	count := func(kinds ...Kind) (n int) {
		for _, e := range s.List(kinds...) {
			if e.Thumbprint == thumbprint {
				n++
			}
		}
		return n
	}
	if _, err := s.Distrust(thumbprint); err != nil {
		t.Fatal(err)
	}
	for _, user := range []bool{false, true} {
		if s.Check([]*x509.Certificate{peer.cert}, Purpose{User: user}, "x") == nil {
			t.Errorf("user %t: trusted after it was removed", user)
		}
		if err := s.Check([]*x509.Certificate{other.cert}, Purpose{User: user}, "x"); err != nil {
			t.Errorf("user %t: another certificate: %v", user, err)
		}
	}
	if trusted, rejected := count(KindTrusted, KindUser), count(KindRejected); trusted != 0 || rejected == 0 {
		t.Errorf("removed: %d files among the trusted, %d among the rejected; want 0 and some", trusted, rejected)
	}
	if _, err := s.Trust(thumbprint, false); err != nil {
		t.Fatal(err)
	}
	if trusted, rejected := count(KindTrusted), count(KindRejected); trusted != 1 || rejected != 0 {
		t.Errorf("added: %d files among the trusted, %d among the rejected; want 1 and 0", trusted, rejected)
	}
}

// TestACertificateAmongOthersIsNotRemoved: its file has others, which stay trusted.
func TestACertificateAmongOthersIsNotRemoved(t *testing.T) {
	peer, other := issue(t, "peer", keys()[0], nil), issue(t, "other", keys()[1], nil)
	for name, order := range map[string][]party{"first": {peer, other}, "behind another": {other, peer}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _ := newStore(t, dir)
			put(t, dir, "trusted/certs", peer.cert.Raw, "peer.der")
			put(t, dir, "trusted/certs", append(asPEM("CERTIFICATE", order[0].cert.Raw),
				asPEM("CERTIFICATE", order[1].cert.Raw)...), "both.pem")
			s.Reload()
			_, err := s.Distrust(Thumbprint(peer.cert.Raw))
			if err == nil || !strings.Contains(err.Error(), "both.pem") {
				t.Errorf("got %v, want an error that names the file in which it is still trusted", err)
			}
			if err := s.Check([]*x509.Certificate{other.cert}, Purpose{}, "x"); err != nil {
				t.Errorf("another certificate of the file: %v", err)
			}
		})
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
