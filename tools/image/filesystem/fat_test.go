package filesystem

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const testSize = 256 << 20

// peer runs another project's tool, or skips.
func peer(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Skipf("not proved: what we write against %s, because it is not installed", name)
		}
	}
	said, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return said
}

// sample has what filesystems stumble over: empty and long files, many names
// that shorten alike, deep folders, a name that fits as it is.
func sample() *File {
	root := Tree()
	root.Add("bootcode.bin", 0o444, []byte("boot"))
	root.Add("empty", 0o444, nil)
	root.Add("a/b/c/deep.txt", 0o444, []byte("deep"))
	root.Add("long", 0o755, bytes.Repeat([]byte("0123456789abcdef"), 30_001))
	for i := range 300 {
		root.Add(fmt.Sprintf("overlays/a-long-name-of-an-overlay-%d.dtbo", i), 0o444, fmt.Append(nil, i))
	}
	return root
}

func volume(t *testing.T, size int64, root *File) (string, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "fat.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f.Name(), WriteFAT(f, 0, size, root)
}

func TestFATReadsBackWithMtools(t *testing.T) {
	name, err := volume(t, testSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	peer(t, "fsck.fat", "-n", name)
	for path, want := range map[string]string{
		"bootcode.bin":   "boot",
		"a/b/c/deep.txt": "deep",
		"overlays/a-long-name-of-an-overlay-299.dtbo": "299",
		"long": string(bytes.Repeat([]byte("0123456789abcdef"), 30_001)),
	} {
		if got := peer(t, "mtype", "-i", name, "::"+path); string(got) != want {
			t.Errorf("%s: got %d bytes, want %d", path, len(got), len(want))
		}
	}
	if got := peer(t, "mdir", "-i", name, "::"); !bytes.Contains(got, []byte("bootcode bin")) &&
		!bytes.Contains(got, []byte("BOOTCODE BIN")) {
		t.Errorf("a name that fits got another short one:\n%s", got)
	}
}

func TestFATSaysWhenItIsFull(t *testing.T) {
	root := Tree()
	root.Add("large", 0o444, make([]byte, testSize))
	if _, err := volume(t, testSize, root); err == nil {
		t.Error("got no error for a file as large as its partition")
	}
}
