package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

var application = Application{URI: "urn:press-hall:heliograph", Name: "heliograph press-hall",
	Hosts: []string{"press-hall", "10.0.0.7", ""}}

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
			if s, _ := r.validate(r.trusted, Purpose{Server: server, Host: host, ApplicationURI: application.URI}, now,
				false); s != nil {
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
	if err != nil || again.Own().Certificate.Equal(own.Certificate) ||
		!again.Own().Certificate.Equal(renewed.Certificate) {
		t.Errorf("after renewing: %v, the old certificate is in use", err)
	}
}

// TestAKeyThatCannotBeReadKeepsItsCertificate: peers trust it, and the key may be readable later.
func TestAKeyThatCannotBeReadKeepsItsCertificate(t *testing.T) {
	dir := t.TempDir()
	s, _ := newStore(t, dir, withApplication)
	own := s.Own().Certificate
	found, err := filepath.Glob(filepath.Join(dir, "own/private/*.pem"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	key, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(found[0], maxFileSize+1); err != nil { // root reads any mode, but no such size
		t.Fatal(err)
	}
	if s.poll(); s.Own() == nil || !s.Own().Certificate.Equal(own) {
		t.Error("a role that has read the key before does without")
	}
	cfg := Config{Directory: dir, Application: application, Now: func() time.Time { return now }}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), found[0]) {
		t.Errorf("got %v, want an error that names the key", err)
	}
	cfg.Serve = true
	served, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served.poll()
	if served.Own() == nil || served.Unsaved() == nil {
		t.Error("a role that must serve does without a certificate, or saved one in place of its own")
	}
	if err := os.WriteFile(found[0], key, 0o600); err != nil {
		t.Fatal(err)
	}
	served.poll()
	if got := served.Own().Certificate; !got.Equal(own) || served.Unsaved() != nil {
		t.Errorf("once the key can be read: got %s, %v; want the certificate of before", Thumbprint(got.Raw),
			served.Unsaved())
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
	signed := issue(t, "signed", s.Own().Key, &ca,
		func(c *x509.Certificate) { c.NotBefore = now.Add(-1000 * time.Hour) })
	put(t, dir, "own/certs", append(asPEM("CERTIFICATE", signed.cert.Raw), asPEM("CERTIFICATE", ca.cert.Raw)...),
		"signed.pem")
	s.Reload()
	if got := s.Own(); !got.Certificate.Equal(signed.cert) ||
		!bytes.Equal(got.Chain, append(bytes.Clone(signed.cert.Raw), ca.cert.Raw...)) {
		t.Errorf("got %s, want the one the CA signed with its chain", got.Certificate.Subject)
	}
}

// A board without a clock starts with a time of years ago: peers' certificates are then
// checked against the day on which its own was made.
func TestClockBehindOwnCertificateIsCorrected(t *testing.T) {
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
		peer := issue(t, name, keys()[0], nil, func(x *x509.Certificate) {
			x.NotBefore = s.Own().Certificate.NotBefore.Add(c.from)
		})
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
		"nothing": nil, "encrypted": asPEM("ENCRYPTED PRIVATE KEY", p8),
		"a certificate": issue(t, "x", key, nil).cert.Raw,
	} {
		if _, err := ParseKey(data); err == nil {
			t.Errorf("%s was accepted as a key", name)
		}
	}
}
