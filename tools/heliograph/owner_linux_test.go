package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
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
