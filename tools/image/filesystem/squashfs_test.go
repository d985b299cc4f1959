package filesystem

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSquashFSReadsBackWithUnsquashfs(t *testing.T) {
	root := sample()
	root.Mkdir("dev")
	root.Symlink("etc/resolv.conf", "/run/resolv.conf")
	noise := make([]byte, 300_000) // that does not shrink
	for i, state := 0, uint32(1); i < len(noise); i++ {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	root.Add("bin/noise", 0o755, noise)
	b, err := SquashFS(root)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	name, out := filepath.Join(folder, "root.sqfs"), filepath.Join(folder, "out")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, "unsquashfs", "-no-progress", "-d", out, name)
	compare(t, out, root)
}

// compare looks for every file of the tree in a folder.
func compare(t *testing.T, at string, node *File) {
	t.Helper()
	info, err := os.Lstat(at)
	if err != nil {
		t.Error(err)
		return
	}
	switch {
	case node.link != "":
		if got, _ := os.Readlink(at); got != node.link {
			t.Errorf("%s: got target %q, want %q", at, got, node.link)
		}
	case node.folder:
		if below, _ := os.ReadDir(at); len(below) != len(node.children) {
			t.Errorf("%s: got %d names, want %d", at, len(below), len(node.children))
		}
	default:
		got, err := os.ReadFile(at)
		if err != nil || !bytes.Equal(got, node.data) {
			t.Errorf("%s: got %d bytes and %v, want %d", at, len(got), err, len(node.data))
		}
		if info.Mode().Perm() != os.FileMode(node.mode) {
			t.Errorf("%s: got mode %v, want %o", at, info.Mode(), node.mode)
		}
	}
	for _, c := range node.children {
		compare(t, filepath.Join(at, c.name), c)
	}
}
