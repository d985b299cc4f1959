package mqtt

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

	"heliograph/firmware/store"
)

const certificateLife = 20 * 365 * 24 * time.Hour

// ownCertificate returns the certificate that was made for the listener, or
// makes one. Clients trust it by its file, mqtt-<channel>.crt.
func ownCertificate(folder, channel, address string, now time.Time) (tls.Certificate, error) {
	base := filepath.Join(folder, "mqtt-"+filepath.Base(channel))
	pair, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair, err
	}
	name, err := os.Hostname()
	if err != nil {
		return pair, fmt.Errorf("host name: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: []string{name, "localhost"}, IPAddresses: addresses(address),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, err
	}
	if err := store.Folder(folder); err != nil {
		return pair, err
	}
	// The key first: a certificate without its key would never be replaced.
	if err := writeWhole(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})); err != nil {
		return pair, err
	}
	if err := writeWhole(base+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return pair, err
	}
	return tls.LoadX509KeyPair(base+".crt", base+".key")
}

// writeWhole leaves the file as a whole or not at all.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
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
