// Package selfsigned makes the certificate of a TLS listener for which the
// configuration names none, once, and keeps it beside its key in PEM files.
// Clients trust it by its file. The package refuses to replace a certificate:
// clients would have to trust the new one.
package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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

	"heliograph/firmware/store"
)

const life = 20 * 365 * 24 * time.Hour

// Ensure returns the files of the certificate name in folder, which is made for
// a listener on address (host:port) if it is not there yet.
func Ensure(folder, name, address string, now time.Time) (certificate, key string, err error) {
	certificate, key = Files(folder, name)
	if _, err := os.Stat(certificate); !errors.Is(err, fs.ErrNotExist) {
		return certificate, key, err
	}
	if err := create(certificate, key, address, now); err != nil {
		return "", "", fmt.Errorf("selfsigned: making %s: %v", certificate, err)
	}
	return certificate, key, nil
}

// Files returns where the certificate name in folder and its key are, or will be.
func Files(folder, name string) (certificate, key string) {
	base := filepath.Join(folder, filepath.Base(name))
	return base + ".crt", base + ".key"
}

func create(certificate, keyFile, address string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: []string{name, "localhost"}, IPAddresses: addresses(address),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := store.Folder(filepath.Dir(certificate)); err != nil {
		return err
	}
	// The key first: a certificate without its key would never be replaced.
	if err := store.ReplaceFile(keyFile, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})); err != nil {
		return err
	}
	return store.ReplaceFile(certificate, 0o600, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
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
