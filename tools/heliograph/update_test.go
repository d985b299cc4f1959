package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/tools/flash"
)

func TestUpdateKeyIsWrittenOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "update.key")
	code, _, stderr := call(t, "\n", "update", "key", name)
	if code != 0 || !strings.Contains(stderr, "no password") {
		t.Fatalf("got %d, %q; want 0 and a warning", code, stderr)
	}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "\n", "update", "key", name); code != 1 ||
		!strings.Contains(stderr, "exists: name another, or remove it") || strings.Contains(stderr, "no password") {
		t.Errorf("got %d, %q for a second one; want 1, exists", code, stderr)
	}
	after, err := os.ReadFile(name)
	if err != nil || string(after) != string(before) {
		t.Errorf("got another key, %v; want the first", err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
}

// cached is a card whose writes are read from memory until that is forgotten.
type cached struct {
	flash.Disk
	calls []string
	fails error
}

func (c *cached) Sync() error   { c.calls = append(c.calls, "sync"); return c.fails }
func (c *cached) Forget() error { c.calls = append(c.calls, "forget"); return nil }

func TestWhatIsInstalledIsReadFromTheCard(t *testing.T) {
	c := &cached{}
	if err := (readBack{c}).Sync(); err != nil || !slices.Equal(c.calls, []string{"sync", "forget"}) {
		t.Errorf("got %q, %v; want sync, forget", c.calls, err)
	}
	c = &cached{fails: errors.New("broken")}
	if err := (readBack{c}).Sync(); err != c.fails {
		t.Errorf("got %v, want %v", err, c.fails)
	}
}

func TestUpdateSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	key, none := filepath.Join(folder, "update.key"), filepath.Join(folder, "none")
	if code, _, stderr := call(t, "\n", "update", "key", key); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(none, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no card": {[]string{"install", "--key", key + ".pub", none, none}, 1,
			"none is not an image or card of a board"},
		"secret key for the public one": {[]string{"install", "--key", key, none, none}, 1,
			"is the secret key: give " + key + ".pub"},
		"public key for the secret one": {[]string{"make", "--role", "tx", "--board", "virt", "--release", "1", "--key",
			key + ".pub", "-o", none}, 1, ".pub is the public key: give " + key + "\n"},
		"release x": {[]string{"make", "--role", "tx", "--board", "virt", "--release", "x", "--key", key,
			"-o", none}, 2, "from 1"},
		"an update in place of a card": {[]string{"show", smallUpdate(t, newSigning(t))}, 1, "is an update: "},
		"card that is not there":       {[]string{"show", filepath.Join(folder, "sdx")}, 1, "file not found: "},
		"key that is none":             {[]string{"install", "--key", none, none, none}, 1, "public key"},
		"no key":                       {[]string{"install", none, none}, 2, "--key must be given: write"},
		"release 0": {[]string{"make", "--role", "tx", "--board", "virt", "--release", "0", "--key", key,
			"-o", none}, 2, "from 1"},
		"board that is none": {[]string{"make", "--role", "tx", "--board", "pc", "--release", "1", "--key", key,
			"-o", none}, 2, "has no image"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := call(t, "", append([]string{"update"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stderr, c.code, c.want)
			}
		})
	}
}
