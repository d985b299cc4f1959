package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestChangesCountWithinTwoSeconds(t *testing.T) {
	dir := t.TempDir()
	peer := issue(t, "peer", keys()[0], nil)
	synctest.Test(t, func(t *testing.T) {
		var changed atomic.Int32
		s, _ := newStore(t, dir, func(c *Config) { c.Changed = func() { changed.Add(1) } })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		check := func() error { return s.Check([]*x509.Certificate{peer.cert}, Purpose{}, "x") }
		time.Sleep(time.Minute)
		if check() == nil || changed.Load() != 0 {
			t.Errorf("before: trusted, or %d changes seen", changed.Load())
		}
		put(t, dir, "trusted/certs", peer.cert.Raw, "peer.der")
		time.Sleep(2 * time.Second)
		if err := check(); err != nil || changed.Load() != 1 {
			t.Errorf("2 s after it was added: %v, %d changes", err, changed.Load())
		}
		// A file whose mode kept us from reading it is read once that is corrected.
		for i, mode := range []os.FileMode{0, 0o640} {
			if err := os.Chmod(filepath.Join(dir, "trusted/certs/peer.der"), mode); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if n := changed.Load(); n != int32(i)+2 {
				t.Errorf("2 s after its mode became %v: %d changes, want %d", mode, n, i+2)
			}
		}
		if err := check(); err != nil {
			t.Errorf("2 s after its mode was corrected: %v", err)
		}
		if err := os.Remove(filepath.Join(dir, "trusted/certs/peer.der")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if check() == nil {
			t.Error("2 s after it was removed it is trusted")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOtherStacksFoldersAreRead(t *testing.T) {
	dir := t.TempDir()
	k := keys()
	root := issue(t, "root", k[0], nil, asCA)
	leaf := issue(t, "leaf", k[1], &root)
	user := issue(t, "user", k[2], nil)
	put(t, dir, "issuers/certs", asPEM("CERTIFICATE", root.cert.Raw), "root.pem")
	put(t, dir, "issuers/crl", asPEM("X509 CRL", revoke(t, root, now.Add(time.Hour))), "root.crl")
	put(t, dir, "trusted/certs", asPEM("CERTIFICATE", leaf.cert.Raw), "leaf.pem")
	put(t, dir, "trusted_users/certs", user.cert.Raw, "user.der")
	put(t, dir, "trusted/certs", []byte("not a certificate"), "README")
	put(t, dir, "rejected", issue(t, "flat", k[3], nil).cert.Raw, "flat.der")
	s, log := newStore(t, dir)
	if err := s.Check([]*x509.Certificate{leaf.cert}, Purpose{}, "x"); err != nil {
		t.Error(err)
	}
	if err := s.Check([]*x509.Certificate{user.cert}, Purpose{User: true}, "x"); err != nil {
		t.Error(err)
	}
	if s.Check([]*x509.Certificate{user.cert}, Purpose{}, "x") == nil {
		t.Error("a user's certificate was accepted as an application's")
	}
	rejected := s.List(KindRejected)
	names := ""
	for _, e := range rejected {
		names += e.Certificate.Subject.CommonName + " "
	}
	if !strings.Contains(names, "flat") {
		t.Errorf("rejected: got %q, want flat among them", names)
	}
	if !strings.Contains(log.String(), "README") {
		t.Errorf("the unusable file is not named:\n%s", log)
	}
}

func TestHugeAndOddFilesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	newStore(t, dir)
	huge := filepath.Join(dir, "trusted/certs/huge.der")
	put(t, dir, "trusted/certs", nil, "huge.der")
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "trusted/certs/zero.der")); err != nil {
		t.Fatal(err)
	}
	_, log := newStore(t, dir)
	if !strings.Contains(log.String(), "huge.der") {
		t.Errorf("the huge file is not named:\n%s", log)
	}
}

func TestReadOnlyCardIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Directory: file}); err == nil {
		t.Error("a file was accepted as a directory")
	}
}

// A certificate that the disk does not take is used all the same, says why, and is saved later.
func TestACertificateThatIsNotSavedSaysWhy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{Directory: dir, Application: application, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.Own() == nil || !errors.Is(s.Unsaved(), syscall.ENOTDIR) {
		t.Errorf("got %v, and %v; want a certificate, and that this is not a folder", s.Own(), s.Unsaved())
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.poll()
	if err := s.Unsaved(); err != nil {
		t.Errorf("once the disk takes it: %v", err)
	}
}
