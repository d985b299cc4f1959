package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"heliograph/firmware/platform/store"
)

// Our own choices.
const (
	ownValidity = 10 * 365 * 24 * time.Hour
	ownBackdate = time.Hour // a peer's clock may be behind ours
)

// Own is our certificate with its key. Chain is the DER of it and its issuers, leaf first.
type Own struct {
	Certificate *x509.Certificate
	Chain       []byte
	Key         *rsa.PrivateKey
}

// Application describes our own certificate.
type Application struct {
	URI          string   // the ApplicationUri
	Name         string   // the common name
	Organization string   // may be empty
	Hosts        []string // DNS names and IP addresses
	Bits         int      // RSA, 2048 (the default) or 3072 or 4096
}

func (a Application) check() (*url.URL, error) {
	u, err := url.Parse(a.URI)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("pki: application URI %q: write it as in urn:host:heliograph", a.URI)
	}
	if a.Name == "" {
		return nil, errors.New("pki: the application has no name for its certificate")
	}
	switch a.Bits {
	case 0, 2048, 3072, 4096:
	default:
		return nil, fmt.Errorf("pki: RSA key of %d bits: use 2048, 3072 or 4096", a.Bits)
	}
	return u, nil
}

func (a Application) hosts() (names []string, ips []net.IP) {
	for _, h := range a.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			ips = append(ips, ip)
		} else if h != "" {
			names = append(names, h)
		}
	}
	return names, ips
}

// newOwn makes a key and a self-signed certificate with the fields of OPC 10000-6 §6.2.2.
func newOwn(a Application, key *rsa.PrivateKey, now time.Time) (*Own, error) {
	u, err := a.check()
	if err != nil {
		return nil, err
	}
	if key == nil {
		if key, err = rsa.GenerateKey(rand.Reader, max(a.Bits, 2048)); err != nil {
			return nil, fmt.Errorf("pki: making a key: %v", err)
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: a.Name}
	if a.Organization != "" {
		subject.Organization = []string{a.Organization}
	}
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	names, ips := a.hosts()
	tmpl := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: subject,
		NotBefore: now.Add(-ownBackdate), NotAfter: now.Add(ownValidity),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          id[:], AuthorityKeyId: id[:],
		URIs: []*url.URL{u}, DNSNames: names, IPAddresses: ips,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("pki: making a certificate: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Own{Certificate: c, Chain: der, Key: key}, nil
}

// saveOwn writes the key first: a certificate without its key is useless.
func saveOwn(dir string, o *Own) error {
	der, err := x509.MarshalPKCS8PrivateKey(o.Key)
	if err != nil {
		return err
	}
	name := fileName(o.Certificate)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := store.ReplaceFile(filepath.Join(dir, ownPrivate, name+".pem"), 0o600, key); err != nil {
		return fmt.Errorf("pki: saving our key: %w", err)
	}
	if err := store.ReplaceFile(filepath.Join(dir, ownCerts, name+".der"), 0o644, o.Certificate.Raw); err != nil {
		return fmt.Errorf("pki: saving our certificate: %w", err)
	}
	return nil
}

// loadOwn returns the certificate in own/certs that has its key in own/private, or nil. Of
// several it prefers one that a CA signed, then the one whose validity began last: an
// operator's certificate replaces ours by being put beside it.
func loadOwn(dir string) *Own {
	keys, _ := readFolder(filepath.Join(dir, ownPrivate))
	certs, _ := readFolder(filepath.Join(dir, ownCerts))
	var best *Own
	for _, k := range keys {
		key, err := ParseKey(k.data)
		if err != nil {
			continue
		}
		for _, f := range certs {
			chain, err := parseCertificates(f.data)
			if err != nil || !key.PublicKey.Equal(chain[0].PublicKey) {
				continue
			}
			if best == nil || preferred(chain[0], best.Certificate) {
				best = &Own{Certificate: chain[0], Chain: join(chain), Key: key}
			}
		}
	}
	return best
}

func preferred(a, b *x509.Certificate) bool {
	issued := func(c *x509.Certificate) bool { return !bytes.Equal(c.RawIssuer, c.RawSubject) }
	if issued(a) != issued(b) {
		return issued(a)
	}
	return a.NotBefore.After(b.NotBefore)
}

// retireOwn moves our certificates to own/certs/previous, where they are not used.
func retireOwn(dir string) error {
	from, to := filepath.Join(dir, ownCerts), filepath.Join(dir, ownCerts, "previous")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	files, _ := readFolder(from)
	for _, f := range files {
		if err := store.Rename(f.path, filepath.Join(to, filepath.Base(f.path))); err != nil {
			return err
		}
	}
	return nil
}

func join(chain []*x509.Certificate) []byte {
	var b []byte
	for _, c := range chain {
		b = append(b, c.Raw...)
	}
	return b
}

// ParseKey reads an RSA private key: PKCS#1 or PKCS#8, PEM or DER.
func ParseKey(data []byte) (*rsa.PrivateKey, error) {
	ders := [][]byte{data}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		ders = append(blocks(data, "PRIVATE KEY"), blocks(data, "RSA PRIVATE KEY")...)
		if bytes.Contains(data, []byte("ENCRYPTED")) && len(ders) == 0 {
			return nil, errors.New("pki: the private key is encrypted: store it without a passphrase, in a file " +
				"with mode 0600")
		}
	}
	for _, der := range ders {
		if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
			if key, ok := key.(*rsa.PrivateKey); ok {
				return key, nil
			}
			return nil, errors.New("pki: the private key is not an RSA key, which all supported policies require")
		}
	}
	return nil, errors.New("pki: there is no private key: use PKCS#1 or PKCS#8, in PEM or DER")
}

// Request returns a certificate signing request, DER, for our key.
func (o *Own) Request(a Application) ([]byte, error) {
	u, err := a.check()
	if err != nil {
		return nil, err
	}
	names, ips := a.hosts()
	subject := pkix.Name{CommonName: a.Name}
	if a.Organization != "" {
		subject.Organization = []string{a.Organization}
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: subject, URIs: []*url.URL{u}, DNSNames: names, IPAddresses: ips,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}, o.Key)
}
