package role

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// A status server with users and a certificate that it made itself lets a user in whose
// client trusts the file, and audits the logins.
func TestStatusServerMakesItsCertificateAndAsksUsers(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "users")
	if err := users.Add(file, "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	audited := make(chan string, 10)
	certificates := map[string]string{}
	s, err := StatusServer(config.Status{Listen: "127.0.0.1:0", Secure: true, UsersFile: file}, folder, certificates,
		func(kind, text string) { audited <- kind + " " + text }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Snapshot, s.Role = func() status.Snapshot { return status.Snapshot{Role: "rx"} },
		func() task.Reasons { return nil }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for s.Address() == "" {
		time.Sleep(time.Millisecond)
	}
	certificate, err := os.ReadFile(certificates["status"])
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	for _, tt := range []struct {
		password string
		code     int
		audited  string
	}{
		{"wrong", http.StatusUnauthorized, "login_refused user ann: wrong password, from 127.0.0.1 at the status port"},
		{"secret", http.StatusOK, "login user ann logged in, from 127.0.0.1 at the status port"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Address()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("ann", tt.password)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := <-audited; answer.StatusCode != tt.code || got != tt.audited {
			t.Errorf("got %d, %q; want %d, %q", answer.StatusCode, got, tt.code, tt.audited)
		}
	}
	if answer, err := client.Get("http://" + s.Address() + "/readyz"); err == nil {
		if answer.Body.Close(); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("in the clear: got %d, want %d", answer.StatusCode, http.StatusBadRequest)
		}
	}
}

func TestStatusServerRefusesFilesThatAreNotThere(t *testing.T) {
	for name, c := range map[string]config.Status{
		"users": {Listen: "127.0.0.1:0", UsersFile: "/none/users"},
		"certificate": {Listen: "127.0.0.1:0", UpdateListen: "127.0.0.1:0", UpdateSecure: true,
			TLS: config.TLS{Certificate: "/none/c", PrivateKey: "/none/k"}},
	} {
		if _, err := StatusServer(c, t.TempDir(), map[string]string{}, func(string, string) {},
			slog.New(slog.DiscardHandler)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line", name, err)
		}
	}
}

func TestStatusServerRunsWithoutACertificateThatIsKept(t *testing.T) {
	pki := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(pki, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	s, err := StatusServer(config.Status{Listen: "127.0.0.1:0", Secure: true}, pki,
		map[string]string{}, func(string, string) {},
		slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil || s.TLS == nil || len(s.TLS.Certificates) != 1 {
		t.Fatalf("got %+v, %v; want a certificate for this run", s, err)
	}
	if !strings.Contains(said.String(), "this run only") {
		t.Errorf("the log does not say so: %q", said.String())
	}
}
