package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
)

func TestTheOtherRolesFileIsNotJudged(t *testing.T) {
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	loadTX := func(path string) error { _, _, err := config.LoadTX(path); return err }
	loadRX := func(path string) error { _, _, err := config.LoadRX(path); return err }
	bad := strings.NewReplacer("pair ", "pear ")
	for name, c := range map[string]struct {
		text string
		load func(path string) error
		want string // after the file's name
	}{
		"RX's for TX": {config.MinimalRX(), loadTX, ": this is heliorx's file; name heliotx's"},
		"TX's for RX": {config.MinimalTX(), loadRX, ": this is heliotx's file; name heliorx's"},
		"RX's with faults for TX": {bad.Replace(config.MinimalRX()), loadTX,
			": this is heliorx's file; name heliotx's"},
		"TX's with faults for RX": {bad.Replace(config.MinimalTX()), loadRX,
			": this is heliotx's file; name heliorx's"},
		"TX's with faults for TX": {bad.Replace(config.MinimalTX()), loadTX, ":1: "},
		"neither's":               {"x = 1\n", loadTX, ":1: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "f.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := c.load(path)
			if err == nil || !strings.HasPrefix(err.Error(), path+c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			_, other := errors.AsType[config.OtherRole](err)
			if want := strings.Contains(c.want, "this is"); other != want ||
				other && strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one sentence alone", err)
			}
		})
	}
	if _, unread := errors.AsType[config.Unread](loadTX(filepath.Join(dir, "none.toml"))); !unread {
		t.Error("a file that is not there is not Unread")
	}
}
