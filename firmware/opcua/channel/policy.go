package channel

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
)

// Specification constants, the same in all three encrypted policies (OPC 10000-7).
const (
	nonceSize     = 32
	signatureSize = 32 // HMAC-SHA256
	signingKey    = 32
	minRSABits    = 2048
	maxRSABits    = 4096
)

// Our own choice: what a peer may send as its certificate and its issuers.
const (
	maxChainBytes = 24 << 10
	maxChainCerts = 8
)

// Security is a policy URI with a mode.
type Security struct {
	Policy string
	Mode   ua.MessageSecurityMode
}

// ParseSecurity reads a policy and a mode as "Basic256Sha256/SignAndEncrypt", or "None". What is not
// known becomes a Security that no channel has.
func ParseSecurity(s string) Security {
	policy, mode, _ := strings.Cut(s, "/")
	if policy == "None" {
		mode = "None"
	}
	return Security{Policy: ua.FormatSecurityPolicyURI(policy), Mode: ua.MessageSecurityModeFromString(mode)}
}

// policy holds what differs between the policies.
type policy struct {
	uri           string
	oaep          crypto.Hash
	encryptingKey int
}

func policyOf(uri string) (policy, bool) {
	switch uri {
	case ua.SecurityPolicyURINone:
		return policy{uri: uri}, true
	case ua.SecurityPolicyURIBasic256Sha256:
		return policy{uri, crypto.SHA1, 32}, true
	case ua.SecurityPolicyURIAes128Sha256RsaOaep:
		return policy{uri, crypto.SHA1, 16}, true
	case ua.SecurityPolicyURIAes256Sha256RsaPss:
		return policy{uri, crypto.SHA256, 32}, true
	}
	return policy{}, false
}

func (p policy) none() bool { return p.oaep == 0 }

// allows reports whether the mode may be used with the policy.
func (p policy) allows(m ua.MessageSecurityMode) bool {
	if p.none() {
		return m == ua.MessageSecurityModeNone
	}
	return m == ua.MessageSecurityModeSign || m == ua.MessageSecurityModeSignAndEncrypt
}

// Identity is an application's own certificate, DER, with its issuers after it if
// they are to be sent, and its key.
type Identity struct {
	Certificate []byte
	Key         *rsa.PrivateKey
}

// LeafCertificate returns the first certificate of a chain.
func LeafCertificate(chain []byte) []byte {
	if len(chain) < 4 || chain[0] != 0x30 { // not a DER SEQUENCE
		return chain
	}
	size := 2 + int(chain[1])
	switch chain[1] {
	case 0x81:
		size = 3 + int(chain[2])
	case 0x82:
		size = 4 + int(binary.BigEndian.Uint16(chain[2:]))
	}
	return chain[:min(size, len(chain))]
}

// Thumbprint identifies a certificate: the SHA-1 of its DER (OPC 10000-6 §6.7.2.3).
func Thumbprint(chain []byte) []byte {
	sum := sha1.Sum(LeafCertificate(chain))
	return sum[:]
}

// ParseChain parses a peer's certificate and its issuers, leaf first, and rejects what no
// policy here can use. The result does not alias der.
func ParseChain(der []byte) ([]*x509.Certificate, error) {
	if len(der) == 0 || len(der) > maxChainBytes {
		return nil, fail(ua.StatusBadCertificateInvalid, "certificate is missing or too long")
	}
	certs, err := x509.ParseCertificates(bytes.Clone(der))
	if err != nil || len(certs) == 0 || len(certs) > maxChainCerts {
		return nil, fail(ua.StatusBadCertificateInvalid, "certificate cannot be parsed")
	}
	if !bytes.Equal(certs[0].Raw, LeafCertificate(der)) {
		return nil, fail(ua.StatusBadCertificateInvalid, "certificate has an unusual length")
	}
	if _, err := publicKey(certs[0]); err != nil {
		return nil, err
	}
	return certs, nil
}

func publicKey(c *x509.Certificate) (*rsa.PublicKey, error) {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fail(ua.StatusBadCertificateInvalid, "certificate's key is not RSA")
	}
	if n := key.N.BitLen(); n < minRSABits || n > maxRSABits || key.N.Bit(0) == 0 {
		return nil, fail(ua.StatusBadCertificatePolicyCheckFailed,
			fmt.Sprintf("RSA key of %d bits, want %d to %d", n, minRSABits, maxRSABits))
	}
	return key, nil
}

// asymmetric does the RSA of one policy with one peer.
type asymmetric struct {
	policy
	sign   *uapolicy.EncryptionAlgorithm
	local  *rsa.PrivateKey
	remote *rsa.PublicKey
}

func newAsymmetric(p policy, local *rsa.PrivateKey, remote *rsa.PublicKey) (*asymmetric, error) {
	if p.none() {
		return &asymmetric{policy: p}, nil
	}
	if local == nil || remote == nil {
		return nil, errors.New("opcua channel: a policy other than None needs both certificates")
	}
	sign, err := uapolicy.Asymmetric(p.uri, local, remote)
	if err != nil {
		return nil, fail(ua.StatusBadSecurityPolicyRejected, err.Error())
	}
	return &asymmetric{policy: p, sign: sign, local: local, remote: remote}, nil
}

// overhead is what OAEP costs in each block (RFC 8017 §7.1.1).
func (p policy) overhead() int { return 2*p.oaep.Size() + 2 }

// encrypt appends the encryption of plain, whose length is a multiple of the
// plaintext block, to dst.
func encryptOAEP(p policy, key *rsa.PublicKey, dst, plain []byte) ([]byte, error) {
	block := key.Size() - p.overhead()
	for len(plain) > 0 {
		n := min(block, len(plain))
		c, err := rsa.EncryptOAEP(p.oaep.New(), rand.Reader, key, plain[:n], nil)
		if err != nil {
			return nil, err
		}
		dst, plain = append(dst, c...), plain[n:]
	}
	return dst, nil
}

// decryptOAEP returns the plaintext. ok reports whether every block decrypted; where
// one did not, zeros stand for it, so that the caller goes the same way and takes
// about the same time until its signature check fails.
func decryptOAEP(p policy, key *rsa.PrivateKey, cipher []byte) (plain []byte, ok bool) {
	size := key.Size()
	if len(cipher) == 0 || len(cipher)%size != 0 {
		return nil, false
	}
	ok = true
	plain = make([]byte, 0, len(cipher))
	for ; len(cipher) > 0; cipher = cipher[size:] {
		b, err := rsa.DecryptOAEP(p.oaep.New(), nil, key, cipher[:size], nil)
		if err != nil {
			ok = false
			b = make([]byte, size-p.overhead())
		}
		plain = append(plain, b...)
	}
	return plain, ok
}
