// Package statement is a text with a signature that tells which board made it: what RX has
// measured of its link, for one who asks with a nonce, and the report of an acceptance.
//
// What RX answers is one JSON object:
//
//	statement             the text that is signed, a JSON object that has format, nonce and time
//	signature.algorithm   "RS256": RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2)
//	signature.certificate DER, in base64
//	signature.value       in base64
//
// The text is in a string, so that nothing between RX and who verifies it writes it in
// another way, and its bytes need no canonical form.
//
// The key is the one of OPC UA, so that a board has one thumbprint to compare, and what it signs here
// must not be taken for what it signs there. A client of OPC UA chooses some of that: it begins with a
// certificate (CreateSession, OPC 10000-4 section 5.7.2), thus with 0x30, or with "OPN" (OpenSecureChannel, OPC
// 10000-6 section 6.7). A measurement is signed behind the text of its Purpose, which begins with "h". A
// report has no such text, as every tool can then verify it, and begins with "{".
//
// The package is pure. It does not decide whether to trust a certificate: the reader
// compares its thumbprint with the board's. It refuses keys below 2048 and above 8192 bits, and what is
// larger than its bounds before it looks at it.
package statement

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Algorithm is the only one.
const Algorithm = "RS256"

// Format is the version of a statement's text. Fields are added, never changed.
const Format = 1

// Our own bounds.
const (
	MaxText        = 32 << 10 // bytes of a text that RX signs
	MaxAnswer      = 128 << 10
	MaxCertificate = 16 << 10
	maxValue       = mostKey / 8
	leastKey       = 2048 // bits
	mostKey        = 8192
	LeastNonce     = 16 // bytes
	MostNonce      = 32
)

// Purpose is what a text is signed as: one that is signed as one does not verify as another.
type Purpose string

// The purposes. See the package comment for why a report has no text.
const (
	Measurement Purpose = "heliograph measurement\n"
	Report      Purpose = ""
)

// Signature is one over a text.
type Signature struct {
	Algorithm   string `json:"algorithm"`
	Certificate []byte `json:"certificate"` // DER
	Value       []byte `json:"value"`
}

// Errors of Verify that a caller words in its own way.
var (
	ErrCertificate = errors.New("the certificate of the signature is malformed")
	ErrSignature   = errors.New("the signature does not fit the text")
)

func (p Purpose) digest(text []byte) []byte {
	h := sha256.New()
	h.Write([]byte(p))
	h.Write(text)
	return h.Sum(nil)
}

// Sign signs a text with the key of a certificate, DER.
func Sign(p Purpose, text []byte, key *rsa.PrivateKey, certificate []byte) (Signature, error) {
	value, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, p.digest(text)) // takes no randomness
	if err != nil {
		return Signature{}, fmt.Errorf("statement: signing: %w", err)
	}
	return Signature{Algorithm: Algorithm, Certificate: certificate, Value: value}, nil
}

// Verify returns the certificate whose key has signed a text.
func (s *Signature) Verify(p Purpose, text []byte) (*x509.Certificate, error) {
	if s.Algorithm != Algorithm {
		return nil, fmt.Errorf("algorithm %.40q is not known", s.Algorithm)
	}
	if len(s.Certificate) > MaxCertificate {
		return nil, ErrCertificate
	}
	c, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, ErrCertificate
	}
	return c, VerifyBy(c, p, text, s.Value)
}

// VerifyBy returns nil when the key of a certificate has signed a text.
func VerifyBy(c *x509.Certificate, p Purpose, text, value []byte) error {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < leastKey || key.N.BitLen() > mostKey || len(value) > maxValue ||
		rsa.VerifyPKCS1v15(key, crypto.SHA256, p.digest(text), value) != nil {
		return ErrSignature
	}
	return nil
}

// Statement is what a receiver answers.
type Statement struct {
	Text      string    `json:"statement"`
	Signature Signature `json:"signature"`
}

// Head is what each text has.
type Head struct {
	Format int       `json:"format"`
	Nonce  string    `json:"nonce"` // of the question
	Time   time.Time `json:"time"`  // by the clock of who answers
}

// CheckNonce returns why a text is not a nonce. It has one spelling, so that two that differ are
// not the same.
func CheckNonce(nonce string) error {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) < LeastNonce || len(b) > MostNonce || hex.EncodeToString(b) != nonce {
		return fmt.Errorf("a nonce is the hexadecimal digits, in lower case, of %d to %d random bytes", LeastNonce,
			MostNonce)
	}
	return nil
}

// Decode reads an answer. Its signature is not verified yet.
func Decode(answer []byte) (Statement, error) {
	var s Statement
	if len(answer) > MaxAnswer || json.Unmarshal(answer, &s) != nil || s.Text == "" || len(s.Text) > MaxText {
		return Statement{}, errors.New("this is not a signed statement")
	}
	return s, nil
}

// ReadHead reads the head of a text whose signature was verified.
func ReadHead(text string) (Head, error) {
	var h Head
	if json.Unmarshal([]byte(text), &h) != nil || h.Format < 1 {
		return Head{}, errors.New("the text of the statement is malformed")
	}
	if h.Format > Format {
		return Head{}, fmt.Errorf("the statement has format %d, and this program knows %d: use a newer one", h.Format,
			Format)
	}
	return h, CheckNonce(h.Nonce)
}
