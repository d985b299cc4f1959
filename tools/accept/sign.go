package accept

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/statement"
)

// maxReport bounds a file that is verified, in bytes.
const maxReport = 16 << 20

// document is the JSON file. The signature is over the bytes of report without the space
// between its tokens (json.Compact), so that a file may be formatted again.
type document struct {
	Report    json.RawMessage      `json:"report"`
	Signature *statement.Signature `json:"signature,omitempty"`
}

// Signed is a report with its page and its JSON form.
type Signed struct{ JSON, Page []byte }

// Sign makes the page of a report and signs both; own is nil for a report without a
// signature of its own. What RX has signed of the measurement is in the report.
func Sign(r *Report, own *pki.Own) (Signed, error) {
	if own != nil {
		r.Signer = pki.Thumbprint(own.Certificate.Raw)
	}
	page, err := Page(r)
	if err != nil {
		return Signed{}, err
	}
	r.Page = sumOf(page)
	body, err := json.Marshal(r)
	if err != nil {
		return Signed{}, fmt.Errorf("accept: encoding the report: %w", err)
	}
	d := document{Report: body}
	if own != nil {
		s, err := statement.Sign(statement.Report, body, own.Key, own.Certificate.Raw)
		if err != nil {
			return Signed{}, fmt.Errorf("accept: the report: %w", err)
		}
		d.Signature = &s
	}
	out, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return Signed{}, fmt.Errorf("accept: encoding the report: %w", err)
	}
	return Signed{append(out, '\n'), page}, nil
}

func sumOf(page []byte) string {
	sum := sha256.Sum256(page)
	return hex.EncodeToString(sum[:])
}

// Verified is a report whose signatures hold. At least one certificate is there.
type Verified struct {
	Report
	Certificate *x509.Certificate // whose key signed the whole report; nil: none
	// Measured is the one whose key signed what was measured, from which each figure of
	// the report follows; nil: none did.
	Measured *x509.Certificate

	derived *Report
}

// Errors of Verify that say what a file is.
var (
	ErrUnsigned = errors.New("the report is not signed")
	errNotOne   = errors.New("this is not the JSON file of an acceptance")
)

// Verify reads a JSON file and checks its signatures, and that its figures follow from what RX
// has signed. Whether a certificate is that of the board is for the reader to say.
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
	case !v.printable():
		return nil, errNotOne
	case d.Signature == nil && v.Signer != "":
		return nil, fmt.Errorf("%w: the signature that it names is not in the file", ErrUnsigned)
	case d.Signature == nil && v.Evidence == nil:
		return nil, ErrUnsigned
	}
	if d.Signature != nil {
		if err := v.verifyReport(d.Signature, body.Bytes()); err != nil {
			return nil, err
		}
	}
	if v.Evidence != nil {
		if v.derived, v.Measured, err = v.Report.derived(); err != nil {
			return nil, err
		}
		if err := v.follows(v.derived, false); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// printable says whether a report has one of the verdicts, and no names that control a terminal.
func (r *Report) printable() bool {
	return slices.Contains([]string{VerdictPass, VerdictRemarks, VerdictFail}, r.Verdict) &&
		r.Tool == clip(r.Tool) && r.Pair == clip(r.Pair)
}

// verifyReport checks the signature of the whole report.
func (v *Verified) verifyReport(s *statement.Signature, body []byte) (err error) {
	v.Certificate, err = s.Verify(statement.Report, body)
	switch {
	case errors.Is(err, statement.ErrSignature):
		return errors.New("the signature does not fit: the report was changed after it was made")
	case err != nil:
		return err
	case v.Signer != pki.Thumbprint(v.Certificate.Raw):
		return errors.New("the report names another certificate than the one in the file")
	}
	return nil
}

// VerifyTexts checks that what this program finds and recommends is what the report does, and that
// it writes the same page. It is for a report of this program's own version: another one may word and judge it
// in another way. Where RX has signed nothing, the signature of the report covers all of it.
func (v *Verified) VerifyTexts() error {
	if v.derived == nil {
		return nil
	}
	if err := v.follows(v.derived, true); err != nil {
		return err
	}
	page, err := Page(&v.Report)
	if err != nil {
		return err
	}
	if !v.IsPage(page) {
		return errors.New("the report names another page than the one that follows from it")
	}
	return nil
}

// Concluded is the verdict that this program comes to by what RX has signed, and else the report's own,
// which the signature of the report covers.
func (v *Verified) Concluded() string { return cmp.Or(v.Judged(), v.Verdict) }

// Judged is the verdict that this program comes to; "" where RX has signed nothing.
func (v *Verified) Judged() string {
	if v.derived == nil {
		return ""
	}
	return v.derived.Verdict
}

// IsPage reports whether a page is the one that was made with the report.
func (v *Verified) IsPage(page []byte) bool { return v.Page == sumOf(page) }
