package identity

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity/selfsigned"
)

func TestIdentityIsMadeOnce(t *testing.T) {
	folder := t.TempDir()
	open := func(pair string) Store {
		s, err := Open(folder, "tx", pair, nil, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open("press hall")
	if uri := first.URI(); !strings.HasSuffix(uri, ":heliograph:tx:press%20hall") {
		t.Errorf("the certificate names %q", uri)
	}
	if len(first.Own().Certificate.DNSNames) == 0 {
		t.Error("the certificate names no host")
	}
	second := open("another")
	if string(first.Own().Chain) != string(second.Own().Chain) || second.URI() != first.URI() {
		t.Error("a second start made another certificate")
	}
}

func TestExpiriesListsOwnTrustedAndFiles(t *testing.T) {
	s, err := Open(t.TempDir(), "rx", "hall", nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.TempDir(), "tx", "hall", nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TrustCertificate(other.Own().Certificate, false); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file, _, err := selfsigned.Ensure(folder, "syslog-log", "127.0.0.1:6514", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der := filepath.Join(folder, "user.der")
	if err := os.WriteFile(der, other.Own().Certificate.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Expiries{Files: map[string]string{"syslog log": file, "mqtt cell-1": filepath.Join(folder, "none.crt"),
		"opcua user of press": der}, Store: s.Store}
	got := map[string]time.Time{}
	now := time.Now()
	for _, x := range e.List(now) {
		got[x.Name] = x.At
	}
	trusted := fmt.Sprintf("opcua trusted %s %s", other.Own().Certificate.Subject.CommonName,
		pki.Thumbprint(other.Own().Certificate.Raw)[:8])
	for _, name := range []string{"opcua own", trusted, "syslog log", "opcua user of press"} {
		if got[name].Before(now) {
			t.Errorf("%s: got %v, want a time to come; all: %v", name, got[name], got)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v, want four", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if again := e.List(now.Add(time.Second)); len(again) != 4 {
		t.Errorf("read again within a minute: got %v", again)
	}
	if again := e.List(now.Add(time.Minute)); len(again) != 3 {
		t.Errorf("after a minute: got %v, want three", again)
	}
}

func TestEachNameIsListedOnce(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(folder, "rx", "hall", nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.TempDir(), "tx", "hall", nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	own, peer := s.Own().Certificate, other.Own().Certificate
	trusted := fmt.Sprintf("opcua trusted %s %s", peer.Subject.CommonName, pki.Thumbprint(peer.Raw)[:8])
	for _, file := range []string{"own/certs/0.der", "trusted/certs/a.der", "trusted/certs/b.der"} {
		if err := os.WriteFile(filepath.Join(folder, filepath.FromSlash(file)), peer.Raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := &Expiries{Store: s.Store}
	got := e.List(time.Now())
	want := []Expiry{{"opcua own", own.NotAfter, pki.Thumbprint(own.Raw)}, {trusted, peer.NotAfter, ""}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want the certificate that is used and the trusted one, once each: %v", got, want)
	}
}
