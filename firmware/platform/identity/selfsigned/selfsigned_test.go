package selfsigned

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestACertificateIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	now := time.Now()
	cert, key, err := Ensure(dir, "syslog", "0.0.0.0:6514", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now}); err != nil {
		t.Errorf("a client that trusts the file: %v", err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: got %v, %v; want mode 0600", info.Mode(), err)
	}
	before, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Ensure(dir, "syslog", "0.0.0.0:6514", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(cert); err != nil || string(after) != string(before) {
		t.Errorf("the certificate was replaced, or is gone: %v", err)
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Ensure(filepath.Join(file, "pki"), "x", "127.0.0.1:1", time.Now()); err == nil {
		t.Error("got no error")
	}
	pair, err := InMemory("127.0.0.1:1", time.Now())
	if err != nil || pair.Leaf.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("in memory: %v", err)
	}
}
