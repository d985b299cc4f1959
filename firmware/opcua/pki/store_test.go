package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"
)

var application = Application{URI: "urn:press-hall:heliograph", Name: "heliograph press-hall", Hosts: []string{"press-hall", "10.0.0.7", ""}}

func withApplication(c *Config) { c.Application = application }

func TestFirstStartMakesACertificateThatOthersAccept(t *testing.T) {
	dir := t.TempDir()
	s, _ := newStore(t, dir, withApplication)
	own := s.Own()
	if own == nil {
		t.Fatal("no certificate was made")
	}
	for _, server := range []bool{false, true} {
		r := roots{trusted: []*x509.Certificate{own.Certificate}}
		for _, host := range []string{"press-hall", "10.0.0.7"} {
			if s := r.validate(r.trusted, Purpose{Server: server, Host: host, ApplicationURI: application.URI}, now, false); s != nil {
				t.Errorf("server %v, host %s: %+v", server, host, s)
			}
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "own/private/*"))
	if len(files) != 1 {
		t.Fatalf("keys: got %q, want one", files)
	}
	if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o600 {
		t.Errorf("key's mode: got %v, want 0600", info.Mode())
	}
	again, _ := newStore(t, dir, withApplication)
	if got := again.Own(); !got.Certificate.Equal(own.Certificate) || !got.Key.Equal(own.Key) {
		t.Error("the second start has another certificate than the first")
	}
	renewed, err := again.Renew()
	if err != nil || again.Own().Certificate.Equal(own.Certificate) || !again.Own().Certificate.Equal(renewed.Certificate) {
		t.Errorf("after renewing: %v, the old certificate is in use", err)
	}
}

func TestOperatorsCertificateReplacesOurs(t *testing.T) {
	dir := t.TempDir()
	s, _ := newStore(t, dir, withApplication)
	der, err := s.Own().Request(application)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil || len(csr.URIs) != 1 || csr.URIs[0].String() != application.URI {
		t.Fatalf("request: got %+v, %v", csr, err)
	}
	ca := issue(t, "ca", keys()[0], nil, asCA)
	signed := issue(t, "signed", s.Own().Key, &ca, func(c *x509.Certificate) { c.NotBefore = now.Add(-1000 * time.Hour) })
	put(t, dir, "own/certs", append(asPEM("CERTIFICATE", signed.cert.Raw), asPEM("CERTIFICATE", ca.cert.Raw)...), "signed.pem")
	s.Reload()
	if got := s.Own(); !got.Certificate.Equal(signed.cert) || !bytes.Equal(got.Chain, append(bytes.Clone(signed.cert.Raw), ca.cert.Raw...)) {
		t.Errorf("got %s, want the one the CA signed with its chain", got.Certificate.Subject)
	}
}

// A board without a clock starts years ago: its peers' certificates are judged by the day
// on which its own was made.
func TestAClockThatIsBehindOurOwnCertificateIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	newStore(t, dir, func(c *Config) { c.Application = application })
	s, _ := newStore(t, dir, func(c *Config) { c.Now = func() time.Time { return now.AddDate(-6, 0, 0) } })
	for name, c := range map[string]struct {
		from time.Duration // of its validity, after our own began
		want ua.StatusCode
	}{
		"made before ours": {-time.Hour, ua.StatusOK},
		"made after ours":  {2 * time.Hour, ua.StatusBadCertificateTimeInvalid},
	} {
		peer := issue(t, name, keys()[0], nil, func(x *x509.Certificate) { x.NotBefore = s.Own().Certificate.NotBefore.Add(c.from) })
		put(t, dir, "trusted/certs", peer.cert.Raw, "peer.der")
		s.Reload()
		err := s.Check([]*x509.Certificate{peer.cert}, Purpose{}, "")
		if c.want == ua.StatusOK && err != nil || c.want != ua.StatusOK && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestKeysOfOtherFormatsAreRead(t *testing.T) {
	key := keys()[0]
	p8, _ := x509.MarshalPKCS8PrivateKey(key)
	p1 := x509.MarshalPKCS1PrivateKey(key)
	for name, data := range map[string][]byte{
		"PKCS#1 DER": p1, "PKCS#8 DER": p8,
		"PKCS#1 PEM": asPEM("RSA PRIVATE KEY", p1), "PKCS#8 PEM": asPEM("PRIVATE KEY", p8),
	} {
		if got, err := ParseKey(data); err != nil || !got.Equal(key) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "encrypted": asPEM("ENCRYPTED PRIVATE KEY", p8), "a certificate": issue(t, "x", key, nil).cert.Raw,
	} {
		if _, err := ParseKey(data); err == nil {
			t.Errorf("%s was taken for a key", name)
		}
	}
}

func TestRejectedCertificateIsKeptAndItsLogLineSaysHowToTrustIt(t *testing.T) {
	dir := t.TempDir()
	var told []string
	s, log := newStore(t, dir, func(c *Config) {
		c.Rejected = func(text string, n uint64) { told = append(told, fmt.Sprint(n, " ", text)) }
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
	if len(told) != 1 || !strings.HasPrefix(told[0], "1 certificate "+thumbprint) || !strings.Contains(told[0], "from 10.0.0.9") {
		t.Errorf("told %q, want the one certificate and where it came from", told)
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
		t.Error("a peer's certificate was taken for a user's")
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
		t.Error("the flood of one address pushed another's certificate out")
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

func TestChangesCountWithinTwoSeconds(t *testing.T) {
	dir := t.TempDir()
	peer := issue(t, "peer", keys()[0], nil)
	synctest.Test(t, func(t *testing.T) {
		var changed atomic.Int32
		s, _ := newStore(t, dir, func(c *Config) { c.Changed = func() { changed.Add(1) } })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		check := func() error { return s.Check([]*x509.Certificate{peer.cert}, Purpose{}, "x") }
		time.Sleep(time.Minute)
		if check() == nil || changed.Load() != 0 {
			t.Errorf("before: trusted, or %d changes seen", changed.Load())
		}
		put(t, dir, "trusted/certs", peer.cert.Raw, "peer.der")
		time.Sleep(2 * time.Second)
		if err := check(); err != nil || changed.Load() != 1 {
			t.Errorf("2 s after it was added: %v, %d changes", err, changed.Load())
		}
		if err := os.Remove(filepath.Join(dir, "trusted/certs/peer.der")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if check() == nil {
			t.Error("2 s after it was removed it is trusted")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOtherStacksFoldersAreRead(t *testing.T) {
	dir := t.TempDir()
	k := keys()
	root := issue(t, "root", k[0], nil, asCA)
	leaf := issue(t, "leaf", k[1], &root)
	user := issue(t, "user", k[2], nil)
	put(t, dir, "issuers/certs", asPEM("CERTIFICATE", root.cert.Raw), "root.pem")
	put(t, dir, "issuers/crl", asPEM("X509 CRL", revoke(t, root, now.Add(time.Hour))), "root.crl")
	put(t, dir, "trusted/certs", asPEM("CERTIFICATE", leaf.cert.Raw), "leaf.pem")
	put(t, dir, "trusted_users/certs", user.cert.Raw, "user.der")
	put(t, dir, "trusted/certs", []byte("not a certificate"), "README")
	put(t, dir, "rejected", issue(t, "flat", k[3], nil).cert.Raw, "flat.der")
	s, log := newStore(t, dir)
	if err := s.Check([]*x509.Certificate{leaf.cert}, Purpose{}, "x"); err != nil {
		t.Error(err)
	}
	if err := s.Check([]*x509.Certificate{user.cert}, Purpose{User: true}, "x"); err != nil {
		t.Error(err)
	}
	if s.Check([]*x509.Certificate{user.cert}, Purpose{}, "x") == nil {
		t.Error("a user's certificate was taken for an application's")
	}
	rejected := s.List(KindRejected)
	names := ""
	for _, e := range rejected {
		names += e.Certificate.Subject.CommonName + " "
	}
	if !strings.Contains(names, "flat") {
		t.Errorf("rejected: got %q, want flat among them", names)
	}
	if !strings.Contains(log.String(), "README") {
		t.Errorf("the unusable file is not named:\n%s", log)
	}
}

func TestHugeAndOddFilesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	newStore(t, dir)
	huge := filepath.Join(dir, "trusted/certs/huge.der")
	put(t, dir, "trusted/certs", nil, "huge.der")
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "trusted/certs/zero.der")); err != nil {
		t.Fatal(err)
	}
	_, log := newStore(t, dir)
	if !strings.Contains(log.String(), "huge.der") {
		t.Errorf("the huge file is not named:\n%s", log)
	}
}

func TestReadOnlyCardIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Directory: file}); err == nil {
		t.Error("a file was taken for a directory")
	}
}
