package statement

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "sign the golden statement again, with a new key")

const (
	golden = "testdata/statement.json"
	text   = `{"format":1,"nonce":"000102030405060708090a0b0c0d0e0f","time":"2026-11-29T12:00:00Z","role":"rx"}`
)

// key is one that takes a while to make.
var key = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })

func newKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

// certificate returns one in DER.
func certificate(t testing.TB, public, private any) []byte {
	t.Helper()
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Heliograph rx (hall)"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signed returns a statement of a text.
func signed(t testing.TB, p Purpose, text string) Statement {
	t.Helper()
	s, err := Sign(p, []byte(text), key(), certificate(t, &key().PublicKey, key()))
	if err != nil {
		t.Fatal(err)
	}
	return Statement{text, s}
}

// The form is a contract with reports that are filed.
func TestTheGoldenStatementVerifies(t *testing.T) {
	if *update {
		b, err := json.Marshal(signed(t, Measurement, text))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Signature.Verify(Measurement, []byte(s.Text))
	if err != nil || c.Subject.CommonName != "Heliograph rx (hall)" || s.Text != text {
		t.Errorf("got %s, %v", s.Text, err)
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(append(again, '\n'), b) {
		t.Errorf("encoded again: got %s, %v", again, err)
	}
	if h, err := ReadHead(s.Text); err != nil || h.Nonce != "000102030405060708090a0b0c0d0e0f" || h.Format != 1 ||
		!h.Time.Equal(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestWhatWasChangedDoesNotVerify(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := newKey(2048)
	for name, c := range map[string]struct {
		change func(*Statement)
		want   string
	}{
		"the text": {func(s *Statement) { s.Text = strings.Replace(s.Text, "rx", "tx", 1) },
			"does not fit"},
		"a space in the text":   {func(s *Statement) { s.Text += " " }, "does not fit"},
		"the value":             {func(s *Statement) { s.Signature.Value[7] ^= 1 }, "does not fit"},
		"the value cut short":   {func(s *Statement) { s.Signature.Value = s.Signature.Value[1:] }, "does not fit"},
		"no value":              {func(s *Statement) { s.Signature.Value = nil }, "does not fit"},
		"a value that is large": {func(s *Statement) { s.Signature.Value = make([]byte, maxValue+1) }, "does not fit"},
		"the algorithm":         {func(s *Statement) { s.Signature.Algorithm = "none" }, `"none" is not known`},
		"no certificate":        {func(s *Statement) { s.Signature.Certificate = nil }, "malformed"},
		"a certificate cut off": {func(s *Statement) { s.Signature.Certificate = s.Signature.Certificate[:99] },
			"malformed"},
		"a large certificate": {func(s *Statement) { s.Signature.Certificate = make([]byte, MaxCertificate+1) },
			"malformed"},
		"another's certificate": {func(s *Statement) {
			s.Signature.Certificate = certificate(t, &other.PublicKey,
				other)
		}, "does not fit"},
		"signed as a report": {func(s *Statement) { *s = signed(t, Report, s.Text) }, "does not fit"},
		"a key of a curve": {func(s *Statement) {
			s.Signature.Certificate = certificate(t, &curve.PublicKey,
				curve)
		}, "does not fit"},
		"a key that is too weak": {func(s *Statement) { weak(t, s, small) }, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			s := signed(t, Measurement, text)
			c.change(&s)
			if _, err := s.Signature.Verify(Measurement, []byte(s.Text)); err == nil || !strings.Contains(err.Error(),
				c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestAHugeKeyIsNotUsed ends at once: to prepare a modulus of 16 million bits alone takes hours.
func TestAHugeKeyIsNotUsed(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 1<<24)
	c := x509.Certificate{PublicKey: &rsa.PublicKey{N: huge.SetBit(huge, 0, 1), E: 65537}}
	if err := VerifyBy(&c, Measurement, []byte(text), make([]byte, maxValue)); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v", err)
	}
}

// weak signs with a key of 1024 bits, whose signature fits.
func weak(t *testing.T, s *Statement, key *rsa.PrivateKey) {
	t.Helper()
	var err error
	if s.Signature, err = Sign(Measurement, []byte(s.Text), key, certificate(t, &key.PublicKey, key)); err != nil {
		t.Fatal(err)
	}
}

func TestDecodeAndHead(t *testing.T) {
	answer := func(text string) string {
		b, _ := json.Marshal(Statement{Text: text})
		return string(b)
	}
	for name, c := range map[string]struct{ answer, want string }{
		"a statement":           {answer(text), ""},
		"not JSON":              {"<html>", "not a signed statement"},
		"an object in a text":   {`{"statement": {"format": 1}}`, "not a signed statement"},
		"nothing":               {`{}`, "not a signed statement"},
		"a text that is large":  {answer(strings.Repeat("x", MaxText+1)), "not a signed statement"},
		"an answer without end": {strings.Repeat(" ", MaxAnswer+1), "not a signed statement"},
		"a text without JSON":   {answer("x"), "malformed"},
		"no format":             {answer(`{"nonce":"000102030405060708090a0b0c0d0e0f"}`), "malformed"},
		"a later format":        {answer(strings.Replace(text, ":1", ":2", 1)), "use a newer one"},
		"no nonce":              {answer(`{"format":1}`), "hexadecimal"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Decode([]byte(c.answer))
			if err == nil {
				_, err = ReadHead(s.Text)
			}
			if err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestNonces(t *testing.T) {
	for nonce, good := range map[string]bool{
		strings.Repeat("0a", 16): true, strings.Repeat("ff", 32): true, "": false, strings.Repeat("0a", 15): false,
		strings.Repeat("0a", 33): false, strings.Repeat("0A", 16): false, strings.Repeat("0g", 16): false,
		strings.Repeat("0a", 16) + "0": false, strings.Repeat(" ", 32): false,
	} {
		if err := CheckNonce(nonce); (err == nil) != good {
			t.Errorf("%q: got %v", nonce, err)
		}
	}
}

// FuzzDecode has nothing verify that the golden key has not signed.
func FuzzDecode(f *testing.F) {
	b, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	good, err := Decode(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"statement":"{\"format\":1}","signature":{"algorithm":"RS256","certificate":"MIIB","value":"AA=="}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		if len(s.Text) > MaxText {
			t.Errorf("a text of %d bytes", len(s.Text))
		}
		c, err := s.Signature.Verify(Measurement, []byte(s.Text))
		if err == nil && bytes.Equal(c.Raw, good.Signature.Certificate) && s.Text != good.Text {
			t.Errorf("verifies: %s", b)
		}
		if _, err := ReadHead(s.Text); err == nil && CheckNonce(mustHead(s.Text).Nonce) != nil {
			t.Errorf("a nonce that is none: %s", s.Text)
		}
		if err != nil && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrCertificate) &&
			!strings.Contains(err.Error(), "algorithm") {
			t.Errorf("got %v", err)
		}
	})
}

func mustHead(text string) Head { h, _ := ReadHead(text); return h }
