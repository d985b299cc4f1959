package accept

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"heliograph/firmware/opcua/pki"
)

// algorithm is the only one: PKCS #1 v1.5 (RFC 8017, 8.2), which every tool verifies.
const algorithm = "RS256"

// maxReport bounds a file that is verified, in bytes.
const maxReport = 16 << 20

// document is the JSON file. The signature is over the bytes of report without the space
// between its tokens (json.Compact), so that a file may be formatted again.
type document struct {
	Report    json.RawMessage `json:"report"`
	Signature *signature      `json:"signature,omitempty"`
}

type signature struct {
	Algorithm   string `json:"algorithm"`
	Certificate []byte `json:"certificate"` // DER
	Value       []byte `json:"value"`
}

// Signed is a report with its page and its JSON form.
type Signed struct{ JSON, Page []byte }

// Sign makes the page of a report and signs both; own is nil for a report without a signature.
func Sign(r *Report, own *pki.Own) (Signed, error) {
	if own != nil {
		r.Signer = pki.Thumbprint(own.Certificate.Raw)
	}
	page, err := Page(r)
	if err != nil {
		return Signed{}, err
	}
	sum := sha256.Sum256(page)
	r.Page = hex.EncodeToString(sum[:])
	body, err := json.Marshal(r)
	if err != nil {
		return Signed{}, fmt.Errorf("accept: encoding the report: %w", err)
	}
	d := document{Report: body}
	if own != nil {
		digest := sha256.Sum256(body)
		value, err := rsa.SignPKCS1v15(rand.Reader, own.Key, crypto.SHA256, digest[:])
		if err != nil {
			return Signed{}, fmt.Errorf("accept: signing the report: %w", err)
		}
		d.Signature = &signature{algorithm, own.Certificate.Raw, value}
	}
	out, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return Signed{}, fmt.Errorf("accept: encoding the report: %w", err)
	}
	return Signed{append(out, '\n'), page}, nil
}

// Verified is a report whose signature holds.
type Verified struct {
	Report
	Certificate *x509.Certificate
}

// Errors of Verify that say what a file is.
var (
	ErrUnsigned = errors.New("the report is not signed")
	errNotOne   = errors.New("this is not the JSON file of an acceptance")
)

// Verify reads a JSON file and checks its signature. Whether the certificate is that of the
// board is for the reader to say.
func Verify(from io.Reader) (*Verified, error) {
	b, err := io.ReadAll(io.LimitReader(from, maxReport+1))
	if err != nil {
		return nil, err
	}
	var d document
	if len(b) > maxReport || json.Unmarshal(b, &d) != nil || len(d.Report) == 0 {
		return nil, errNotOne
	}
	var body bytes.Buffer
	v := &Verified{}
	if json.Compact(&body, d.Report) != nil || json.Unmarshal(d.Report, &v.Report) != nil || v.Format < 1 {
		return nil, errNotOne
	}
	switch {
	case v.Format > Format:
		return nil, fmt.Errorf("the report has format %d, and this program knows %d: use a newer one", v.Format, Format)
	case d.Signature == nil:
		return nil, ErrUnsigned
	case d.Signature.Algorithm != algorithm:
		return nil, fmt.Errorf("algorithm %q is not known", clip(d.Signature.Algorithm))
	}
	if v.Certificate, err = x509.ParseCertificate(d.Signature.Certificate); err != nil {
		return nil, errors.New("the certificate in the file is malformed")
	}
	key, ok := v.Certificate.PublicKey.(*rsa.PublicKey)
	digest := sha256.Sum256(body.Bytes())
	if !ok || rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], d.Signature.Value) != nil {
		return nil, errors.New("the signature does not fit: the report was changed after it was made")
	}
	if v.Signer != pki.Thumbprint(v.Certificate.Raw) {
		return nil, errors.New("the report names another certificate than the one in the file")
	}
	return v, nil
}

// IsPage reports whether a page is the one that was made with the report.
func (v *Verified) IsPage(page []byte) bool {
	sum := sha256.Sum256(page)
	return v.Page == hex.EncodeToString(sum[:])
}
