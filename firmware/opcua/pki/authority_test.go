package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// keys are slow to make: a few serve all tests.
var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	var out []*rsa.PrivateKey
	for range 4 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

type party struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

var serial int64

// issue returns a certificate of subject, signed by issuer or by itself.
func issue(t testing.TB, name string, key *rsa.PrivateKey, issuer *party, change ...func(*x509.Certificate)) party {
	t.Helper()
	serial++
	uri, _ := url.Parse("urn:test:" + url.PathEscape(name))
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{uri}, DNSNames: []string{"plant"},
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 5)},
	}
	for _, f := range change {
		f(tmpl)
	}
	parent, sign := tmpl, key
	if issuer != nil {
		parent, sign = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, sign)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return party{c, key}
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.URIs = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil, nil
}

func revoke(t testing.TB, ca party, next time.Time, revoked ...*x509.Certificate) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-48 * time.Hour), NextUpdate: next}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func put(t testing.TB, dir, sub string, data []byte, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, sub, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func asPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// newStore opens a store in dir that logs into the buffer.
func newStore(t testing.TB, dir string, change ...func(*Config)) (*Store, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	cfg := Config{Directory: dir, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(log, nil))}
	for _, f := range change {
		f(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}
