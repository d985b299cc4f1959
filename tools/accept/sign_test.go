package accept

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"heliograph/firmware/opcua/pki"
)

// board returns a board's key, which takes a while to make.
var board = sync.OnceValues(func() (*pki.Own, error) {
	dir, err := os.MkdirTemp("", "accept")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := pki.Open(pki.Config{Directory: dir, Log: slog.New(slog.DiscardHandler),
		Application: pki.Application{URI: "urn:x:heliograph:rx:hall", Name: "Heliograph rx (hall)"}})
	if err != nil {
		return nil, err
	}
	return s.Own(), nil
})

func signed(t *testing.T) Signed {
	t.Helper()
	own, err := board()
	if err != nil {
		t.Fatal(err)
	}
	f := figures{expected: 1e6, missing: 90, burst: 3, repaired: 90}
	out, err := Sign(f.report(t, silence(), wentOn()), own)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestASignedReportVerifies(t *testing.T) {
	s := signed(t)
	own, _ := board()
	v, err := Verify(bytes.NewReader(s.JSON))
	if err != nil || v.Verdict != VerdictPass || v.Signer != pki.Thumbprint(own.Certificate.Raw) || !v.IsPage(s.Page) {
		t.Fatalf("got %+v, %v", v, err)
	}
	if v.IsPage(append(s.Page, ' ')) {
		t.Error("another page is taken for the report's")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, s.JSON); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(&compact); err != nil {
		t.Errorf("formatted in another way: %v", err)
	}
	if !strings.Contains(string(s.Page), colons(v.Signer)) {
		t.Error("the page does not name the certificate")
	}
}

func TestAChangedReportDoesNotVerify(t *testing.T) {
	good := string(signed(t).JSON)
	other := strings.Replace(good, `"verdict": "PASS"`, `"verdict": "FAIL"`, 1)
	for name, c := range map[string]struct{ text, want string }{
		"a changed verdict":     {other, "was changed after it was made"},
		"a changed count":       {strings.Replace(good, `"missing": 90`, `"missing": 0`, 1), "was changed"},
		"a signature cut off":   {good[:strings.Index(good, `,`+"\n"+`  "signature"`)] + "}", "not signed"},
		"another algorithm":     {strings.Replace(good, `"RS256"`, `"none"`, 1), "not known"},
		"a broken certificate":  {strings.Replace(good, `"certificate": "MII`, `"certificate": "AAA`, 1), "malformed"},
		"a later format":        {strings.Replace(good, `"format": 1`, `"format": 2`, 1), "newer"},
		"another file":          {`{"report": {"format": 0}}`, "not the JSON file"},
		"what does not end":     {strings.Repeat(" ", maxReport+2), "not the JSON file"},
		"not JSON":              {"<html>", "not the JSON file"},
		"a report that is none": {`{"report": 5}`, "not the JSON file"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.text == good {
				t.Fatal("the text was not changed")
			}
			if _, err := Verify(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAReportWithoutAKeySaysSo(t *testing.T) {
	f := figures{expected: 1000}
	out, err := Sign(f.report(t, silence(), wentOn()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(bytes.NewReader(out.JSON)); !errors.Is(err, ErrUnsigned) || !strings.Contains(string(out.Page),
		"not signed") {
		t.Errorf("got %v", err)
	}
}

// FuzzVerify has nothing verify that the board did not sign.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"report": {"format": 1}, "signature": {"algorithm": "RS256", "certificate": "MIIB", "value": "AA=="}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := Verify(bytes.NewReader(b)); err == nil {
			t.Errorf("got %+v", v)
		}
	})
}

// The page takes nothing from elsewhere, runs nothing, and shows each figure.
func TestThePageStandsAlone(t *testing.T) {
	page := string(signed(t).Page)
	for _, no := range []string{"<script", "src=", "href=", "url(", "@import", "NaN", "%!"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "@media print", "90 missing", "PASS", "100 probes",
		"<svg"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
