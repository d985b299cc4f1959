package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/acceptance"
)

// TestRootLeavesACertificateToTheOwnerOfTheState: heliorx, which runs as that user, reads it.
func TestRootLeavesACertificateToTheOwnerOfTheState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not proved: that root's files are left to a role's user; it takes root")
	}
	const user = 12345
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := pairkey.Create(at("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("rx.toml"), []byte(config.MinimalRX()), 0o600); err != nil {
		t.Fatal(err)
	}
	rx, _, err := config.LoadRX(at("rx.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one replaces
		if code, _, stderr := call(t, "", "cert", "new", "--config", at("rx.toml")); code != 0 {
			t.Fatal(stderr)
		}
		files := 0
		err = filepath.WalkDir(rx.State, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != user {
				t.Errorf("%s is not the user's", path)
			}
			files++
			return err
		})
		if err != nil || files < 4 {
			t.Errorf("%d files, %v", files, err)
		}
	}
	if info, err := os.Stat(at("rx.toml")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("the configuration was given away: %v", err)
	}
}

// TestRootLeavesDecisionsToTheOwnerOfTheState: heliorx removes an acceptance that it has used, and
// doctor takes files of another user in the state for a start as that user.
func TestRootLeavesDecisionsToTheOwnerOfTheState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not proved: that root's files are left to a role's user; it takes root")
	}
	const user = 12345
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := call(t, "", "cert", "new", "--pki", at("pki"), "--role", "rx", "--pair", "p"); code != 0 {
		t.Fatal(stderr)
	}
	peer := stranger(t)
	owned := func(when string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != user {
				t.Errorf("%s: %s is not the user's", when, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	runs := []acceptance.Run{{Epoch: 7, Salt: acceptance.Salt{1}}}
	if err := acceptance.KeepRefused(dir, runs); err != nil {
		t.Fatal(err)
	}
	if err := giveTree(dir, user, user); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "peer.der")
	if err := os.WriteFile(file, peer.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"trust", "add", "--pki", at("pki"), file},
		{"trust", "remove", "--pki", at("pki"), pki.Thumbprint(peer.Raw)},
		{"trust", "add", "--pki", at("pki"), "--users", pki.Thumbprint(peer.Raw)},
		{"epoch", "accept", dir},
	} {
		if code, _, stderr := call(t, "", args...); code != 0 {
			t.Fatal(args, stderr)
		}
		owned(strings.Join(args, " "))
	}
}
