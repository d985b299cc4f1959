package config

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/identity/selfsigned"
)

func TestTLSFiles(t *testing.T) {
	cert, key, err := selfsigned.Ensure(t.TempDir(), "peer", "127.0.0.1:1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "none")
	client := func(files TLS) func() (*tls.Config, error) {
		return func() (*tls.Config, error) { return files.Client("broker") }
	}
	cases := map[string]struct {
		make func() (*tls.Config, error)
		want string // part of the error; "" for none
	}{
		"client of the system's authorities": {client(TLS{}), ""},
		"client with everything":             {client(TLS{CAFile: cert, Certificate: cert, PrivateKey: key}), ""},
		"client without its key":             {client(TLS{Certificate: cert, PrivateKey: missing}), "file not found"},
		"authorities that are none":          {client(TLS{CAFile: key}), "does not contain a PEM certificate"},
		"server":                             {TLS{Certificate: cert, PrivateKey: key}.Server, ""},
		"server that asks its clients":       {TLS{CAFile: cert, Certificate: cert, PrivateKey: key}.Server, ""},
		"server without a certificate":       {TLS{}.Server, "needs certificate and private_key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.make()
			if c.want == "" && (err != nil || got.MinVersion != tls.VersionTLS12) {
				t.Errorf("got %v, %v", got, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
	strict, err := TLS{CAFile: cert, Certificate: cert, PrivateKey: key}.Server()
	if err != nil || strict.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("got %v, %v; want clients to be asked", strict, err)
	}
}

func TestACertificateThatHasEndedIsWarnedOf(t *testing.T) {
	for years, want := range map[int]bool{-60: true, 0: false} {
		dir := t.TempDir()
		cert, key, err := selfsigned.Ensure(dir, "peer", "127.0.0.1:1", time.Now().AddDate(years, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		r := &report{file: "f.toml", dir: dir}
		r.tls("status", "", cert, key)
		if len(r.faults) > 0 || want != (len(r.warnings) == 1) {
			t.Fatalf("made %d years ago: got %v and %v, want a warning: %v", -years, r.faults, r.warnings, want)
		}
		if want && !strings.Contains(r.warnings[0].Message, CertificateEnded) {
			t.Errorf("got %v", r.warnings)
		}
	}
}
