package filesystem

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCpioReadsBackWithCpio(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("not proved: what we write against cpio, because it is not installed")
	}
	root := sample()
	root.Symlink("etc/resolv.conf", "/run/resolv.conf")
	folder := t.TempDir()
	name := filepath.Join(folder, "archive")
	if err := os.WriteFile(name, Cpio(root), 0o600); err != nil {
		t.Fatal(err)
	}
	list := string(peer(t, "cpio", "-itv", "--quiet", "-F", name))
	if !strings.Contains(list, "crw-------") || !strings.Contains(list, "5,   1") {
		t.Errorf("got no console among\n%s", list)
	}
	out := filepath.Join(folder, "out")
	peer(t, "cpio", "-id", "--quiet", "-D", mkdir(t, out), "-F", name, "--no-absolute-filenames", "[!d]*")
	compare(t, out, root)
}

func mkdir(t *testing.T, name string) string {
	t.Helper()
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}
