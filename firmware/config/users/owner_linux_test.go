package users

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAddKeepsOwnerAndGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not proved: that the file keeps its owner and group; it takes root")
	}
	const user, group = 12346, 12345
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, user, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, "anna", "new"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != user || s.Gid != group || info.Mode().Perm() != 0o640 {
		t.Errorf("got owner %d:%d and mode %v, want %d:%d and 0640", s.Uid, s.Gid, info.Mode(), user, group)
	}
}
