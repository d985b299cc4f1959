package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// authority returns a root certificate in PEM, and a listener's certificate of it for
// 127.0.0.1.
func authority(t *testing.T) (root []byte, server tls.Certificate) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, with *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if with == nil {
			with = key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, with)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := sign(ca, ca, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature}
	der, key := sign(leaf, ca, rootKey)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}),
		tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Without a ca_file a client trusts the system's authorities, or where there are none
// those that came with the program.
func TestAuthoritiesWithoutAFile(t *testing.T) {
	const address, fallback = "HELIOGRAPH_TEST_SERVER", "HELIOGRAPH_TEST_FALLBACK"
	if to := os.Getenv(address); to != "" { // a program that a test below started
		roots, err := os.ReadFile(os.Getenv(fallback))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(roots)
		x509.SetFallbackRoots(pool)
		c, err := TLS{}.Client("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", to, c)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		return
	}
	root, certificate := authority(t)
	other, _ := authority(t)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ours, another, none := file("root.pem", root), file("other.pem", other), filepath.Join(dir, "none")
	for _, tt := range []struct {
		name, system, fallback string
		trusted                bool
	}{
		{"a system without authorities", none, ours, true},
		{"a system without authorities, and a server of none that came along", none, another, false},
		{"a system with them", ours, another, true},
		{"a system with others", another, ours, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if conn, err := l.Accept(); err == nil {
					_ = conn.(*tls.Conn).Handshake()
					conn.Close()
				}
			}()
			c := exec.Command(os.Args[0], "-test.run=^TestAuthoritiesWithoutAFile$")
			c.Env = append(os.Environ(), address+"="+l.Addr().String(), fallback+"="+tt.fallback,
				"SSL_CERT_FILE="+tt.system, "SSL_CERT_DIR="+none)
			if said, err := c.CombinedOutput(); (err == nil) != tt.trusted {
				t.Errorf("got %v, want trusted %t\n%s", err, tt.trusted, said)
			}
		})
	}
}
