// Package selfsigned makes the certificate of a TLS listener for which the
// configuration names none, once, and keeps it beside its key in PEM files.
// Clients trust it by its file. The package refuses to replace a certificate:
// clients would have to trust the new one.
package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"heliograph/firmware/platform/store"
)

// Life is how long a certificate is valid.
const Life = 20 * 365 * 24 * time.Hour

// Ensure returns the files of the certificate name in folder, which is made for
// a listener on address (host:port) if it is not there yet.
func Ensure(folder, name, address string, now time.Time) (certificate, key string, err error) {
	certificate, key = Files(folder, name)
	if _, err := os.Stat(certificate); !errors.Is(err, fs.ErrNotExist) {
		return certificate, key, err
	}
	certPEM, keyPEM, err := create(address, now)
	if err == nil {
		err = store.Folder(folder)
	}
	// The key first: a certificate without its key would never be replaced.
	if err == nil {
		err = store.ReplaceFile(key, 0o600, keyPEM)
	}
	if err == nil {
		err = store.ReplaceFile(certificate, 0o600, certPEM)
	}
	if err != nil {
		return "", "", fmt.Errorf("selfsigned: making %s: %v", certificate, err)
	}
	return certificate, key, nil
}

// Files returns where the certificate name in folder and its key are, or will be.
func Files(folder, name string) (certificate, key string) {
	base := filepath.Join(folder, filepath.Base(name))
	return base + ".crt", base + ".key"
}

// InMemory returns a certificate for this run alone, for a listener that must
// serve although nothing can be kept.
func InMemory(address string, now time.Time) (*tls.Certificate, error) {
	certPEM, keyPEM, err := create(address, now)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %v", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	return &pair, err
}

func create(address string, now time.Time) (certificate, private []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: []string{name, "localhost"}, IPAddresses: addresses(address),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	private, err = x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
}

// addresses are those that clients may use for the listener.
func addresses(listen string) (ips []net.IP) {
	host, _, _ := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if ip != nil && !ip.IsUnspecified() {
		return []net.IP{ip}
	}
	ips = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ips
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			ips = append(ips, n.IP)
		}
	}
	return ips
}
