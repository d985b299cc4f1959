package main

import (
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"heliograph/firmware/opcua/pki"
)

// stranger makes a certificate that is not trusted.
func stranger(t *testing.T) *x509.Certificate {
	t.Helper()
	s, err := pki.Open(pki.Config{Directory: t.TempDir(),
		Application: pki.Application{URI: "urn:stranger", Name: "stranger\x1b[31m"},
		Log:         slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Own().Certificate
}

func TestTheCommandInTheLogTrustsACertificate(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	s, err := pki.Open(pki.Config{Directory: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []pki.Purpose{{}, {User: true}} {
		c := stranger(t)
		log.Reset()
		if err := s.Check([]*x509.Certificate{c}, purpose, "10.0.0.9"); err == nil {
			t.Fatal("a stranger is trusted")
		}
		line := regexp.MustCompile(`trust="heliograph ([^"]*)"`).FindStringSubmatch(log.String())
		if line == nil {
			t.Fatalf("no command in %s", log.String())
		}
		if code, _, stderr := call(t, "", strings.Fields(line[1])...); code != 0 {
			t.Fatalf("heliograph %s: %d %s", line[1], code, stderr)
		}
	}
	s.Reload()
	if trusted, users := len(s.List(pki.KindTrusted)), len(s.List(pki.KindUser)); trusted != 1 || users != 1 {
		t.Errorf("%d applications and %d users are trusted, want one of each", trusted, users)
	}
}

func TestTrust(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := call(t, "", "cert", "new", "--pki", dir, "--role", "tx", "--pair", "hall"); code != 0 {
		t.Fatal(stderr)
	}
	c := stranger(t)
	file := filepath.Join(t.TempDir(), "stranger.der")
	if err := os.WriteFile(file, c.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := call(t, "", "trust", "add", "--pki", dir, file); code != 0 ||
		!strings.Contains(out, "note: ") || !strings.Contains(out, `tolerate = ["host_name"]`) {
		t.Fatalf("%d, %q, %q; want a note of what trust alone does not do", code, out, stderr)
	}
	print := pki.Thumbprint(c.Raw)
	_, out, _ := call(t, "", "trust", "list", "--pki", dir)
	if !strings.Contains(out, "trusted  "+print) || !strings.Contains(out, "own") || strings.Contains(out, "\x1b") {
		t.Errorf("the list is %q", out)
	}
	if code, _, stderr := call(t, "", "trust", "remove", "--pki", dir, print[:12]); code != 0 {
		t.Fatal(stderr)
	}
	if _, out, _ = call(t, "", "trust", "list", "--pki", dir); !strings.Contains(out, "rejected  "+print) {
		t.Errorf("after its removal the list is %q", out)
	}
	for name, args := range map[string][]string{
		"unknown thumbprint": {"trust", "add", "--pki", dir, "0123456789"},
		"too short":          {"trust", "add", "--pki", dir, print[:4]},
		"no such folder":     {"trust", "list", "--pki", dir + "/none"},
		"not a certificate":  {"trust", "add", "--pki", dir, "trust_test.go"},
	} {
		if code, _, stderr := call(t, "", args...); code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %q; want 1 and one line", name, code, stderr)
		}
	}
	if code, _, _ := call(t, "", "trust", "list"); code != 2 {
		t.Errorf("without a folder: %d, want 2", code)
	}
}

func TestCert(t *testing.T) {
	work := t.TempDir()
	conf := filepath.Join(work, "rx.toml")
	text := "pair = \"hall\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:1\"\nrate = \"1Mbit/s\"\nkey_file = " +
		"\"pair.key\"\n[state]\ndirectory = \"s\"\n[[syslog]]\nchannel = \"s\"\nforward = \"tcp://x:1\"\n"
	if code, _, stderr := call(t, "", "key", "new", filepath.Join(work, "pair.key")); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "cert", "show", "--config", conf); code != 1 ||
		!strings.Contains(stderr, "cert new") {
		t.Errorf("without a certificate: %d %q", code, stderr)
	}
	_, first, stderr := call(t, "", "cert", "new", "--config", conf, "--host", "mirror.example")
	if first == "" {
		t.Fatal(stderr)
	}
	_, out, _ := call(t, "", "cert", "show", "--config", conf)
	if !strings.Contains(out, first[:40]) || !strings.Contains(out, ":heliograph:rx:hall") ||
		!strings.Contains(out, "mirror.example") {
		t.Errorf("shown is %q", out)
	}
	for name, kind := range map[string]string{"own.pem": "CERTIFICATE", "own.csr.pem": "CERTIFICATE REQUEST"} {
		command := map[string]string{"CERTIFICATE": "export", "CERTIFICATE REQUEST": "csr"}[kind]
		path := filepath.Join(work, name)
		if code, _, stderr := call(t, "", "cert", command, "--config", conf, path); code != 0 {
			t.Fatal(stderr)
		}
		raw, _ := os.ReadFile(path)
		block, _ := pem.Decode(raw)
		if block == nil || block.Type != kind {
			t.Fatalf("%s is %q", name, raw)
		}
		if kind == "CERTIFICATE REQUEST" {
			r, err := x509.ParseCertificateRequest(block.Bytes)
			if err != nil || r.CheckSignature() != nil || len(r.URIs) != 1 {
				t.Errorf("the request is invalid: %v", err)
			}
		}
		if code, _, stderr := call(t, "", "cert", command, "--config", conf, path); code != 0 {
			t.Errorf("%s again: got %d, %s", command, code, stderr)
		}
		before, _ := os.ReadFile(conf)
		code, _, stderr := call(t, "", "cert", command, "--config", conf, conf)
		if after, _ := os.ReadFile(conf); code != 1 || !strings.Contains(stderr, "name another file") ||
			string(after) != string(before) {
			t.Errorf("%s over the configuration: got %d, %s", command, code, stderr)
		}
	}
	if _, second, _ := call(t, "", "cert", "new", "--config", conf); second == first || second == "" {
		t.Error("a new certificate is the old one")
	}
}
