package regular_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heliograph/firmware/platform/regular"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int{"fits": 1024, "large": 1025, "empty": 0} {
		if err := os.WriteFile(at(name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", at("link to a pipe")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fits", at("link")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{
		at("fits"): "", at("empty"): "", at("link"): "", "/proc/self/status": "larger than 1 KiB",
		at("large"): "is larger than 1 KiB: is it the right file?", at("pipe"): "is a pipe and not a regular file",
		at("link to a pipe"): "is a pipe", dir: "is a folder and not a regular file", "/dev/zero": "is a device",
		at("socket"): "is a socket", "/dev/tty": "is a device",
	} {
		content, err := regular.Read(path, 1024)
		if want == "" {
			if err != nil || !bytes.Equal(content, make([]byte, len(content))) {
				t.Errorf("%s: %v, %d bytes", path, err, len(content))
			}
			continue
		}
		var wrong regular.Error
		if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), path+" is ") || !strings.Contains(err.Error(),
			want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if _, err := regular.Read(at("none"), 1); !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != "file not found: "+at("none")+"; correct its name or folder" {
		t.Errorf("got %v, want that there is no such file, and what to do", err)
	}
}
