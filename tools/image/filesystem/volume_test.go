package filesystem

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallSize = 136 << 20 // mtools takes fewer clusters for FAT16

func keepAll(string) bool { return false }

// disk opens what volume wrote.
func disk(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func opened(t testing.TB, f *os.File) *Volume {
	t.Helper()
	v, err := OpenFAT(f, 0, smallSize)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func secrets(mark byte) *File {
	root := Tree()
	for _, n := range []int{0, 1, 511, 512, 513, 899, 1708, 2048, 2049, 5000, 70_000} { // a cluster is 2048
		root.Add(fmt.Sprintf("%d", n), 0o400, bytes.Repeat([]byte{mark}, n))
	}
	root.Add("heliograph.toml", 0o400, []byte("pair"))
	root.Add("pki/own/certs/Heliograph_tx__press-hall_ [DD20EBDB253CE8C3C46AF922F3C02D98030AE7DA].der", 0o400,
		bytes.Repeat([]byte{mark}, 3000))
	return root
}

func TestReplacedFolderIsThereForOthers(t *testing.T) {
	name, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	f := disk(t, name)
	v := opened(t, f)
	if !v.Ours() {
		t.Error("got a volume of another maker")
	}
	if _, err := v.Files("heliograph", 10, 1, keepAll); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: got %v", err)
	}
	if err := v.Replace(f, "heliograph", secrets(0xA1)); err != nil {
		t.Fatal(err)
	}
	got, err := opened(t, f).Files("heliograph", 100, 1<<20, keepAll)
	if err != nil || len(got) != 13 {
		t.Fatalf("got %d files, %v; want 13", len(got), err)
	}
	for _, n := range []int{0, 1, 2048, 2049, 70_000} {
		if b := got[fmt.Sprint(n)]; !bytes.Equal(b, bytes.Repeat([]byte{0xA1}, n)) {
			t.Errorf("file of %d bytes: got %d, or others", n, len(b))
		}
	}
	peer(t, "fsck.fat", "-n", name)
	long := bytes.Repeat([]byte{0xA1}, 70_000)
	if got := peer(t, "mtype", "-i", name, "::heliograph/70000"); !bytes.Equal(got, long) {
		t.Errorf("mtools: got %d bytes of 70000, or others", len(got))
	}
	if got := peer(t, "mtype", "-i", name, "::a/b/c/deep.txt"); string(got) != "deep" {
		t.Errorf("a file beside the folder: got %q", got)
	}
}

func TestReplacedFolderLeavesNoTrace(t *testing.T) {
	direct, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	f := disk(t, direct)
	if err := opened(t, f).Replace(f, "heliograph", secrets(0xB2)); err != nil {
		t.Fatal(err)
	}
	name, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	g := disk(t, name)
	large := secrets(0xA1)
	large.Add("more", 0o400, bytes.Repeat([]byte{0xA1}, 1<<20))
	for _, tree := range []*File{large, Tree(), secrets(0xB2)} {
		if err := opened(t, g).Replace(g, "heliograph", tree); err != nil {
			t.Fatal(err)
		}
	}
	got, want := mustRead(t, name), mustRead(t, direct)
	if bytes.Contains(got, bytes.Repeat([]byte{0xA1}, 16)) {
		t.Error("got bytes of the folder that was replaced")
	}
	if !bytes.Equal(got, want) {
		t.Error("got other bytes after three folders than after the last alone")
	}
	peer(t, "fsck.fat", "-n", name)
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFolderOfAFileManager has mtools write as Windows does: short names with a case, long
// ones, folders of the system beside them, files that were deleted again.
func TestFolderOfAFileManager(t *testing.T) {
	name, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "f")
	put := func(to, text string) {
		t.Helper()
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		peer(t, "mcopy", "-o", "-i", name, at, "::"+to)
	}
	peer(t, "mmd", "-i", name, "::System Volume Information", "::heliograph", "::heliograph/PKI of the plant")
	put("heliograph/secret.key", "a key that is deleted again")
	put("System Volume Information/IndexerVolumeGuid", "x")
	for i := range 90 { // so that the root grows, and files lie in pieces
		put(fmt.Sprintf("heliograph/a long name of a file %d.txt", i), strings.Repeat("y", i*100))
	}
	peer(t, "mdel", "-i", name, "::heliograph/secret.key", "::heliograph/a long name of a file 7.txt")
	put("heliograph/pair.key", strings.Repeat("z", 9000))
	put("heliograph/heliograph.toml", "pair")
	put("heliograph/PKI of the plant/Grüße.der", "der")
	f := disk(t, name)
	got, err := opened(t, f).Files("heliograph", 100, 1<<20, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"pair.key": strings.Repeat("z", 9000), "heliograph.toml": "pair", "PKI of the plant/Grüße.der": "der",
		"a long name of a file 89.txt": strings.Repeat("y", 8900), "a long name of a file 0.txt": "",
	} {
		if b, ok := got[path]; !ok || string(b) != want {
			t.Errorf("%s: got %d bytes, %v; want %d", path, len(b), ok, len(want))
		}
	}
	if _, ok := got["a long name of a file 7.txt"]; ok || len(got) != 92 {
		t.Errorf("got %d files, want 92 without the deleted ones", len(got))
	}
	if err := opened(t, f).Replace(f, "heliograph", secrets(0xA1)); err != nil {
		t.Fatal(err)
	}
	peer(t, "fsck.fat", "-n", name)
	b := mustRead(t, name)
	for _, gone := range []string{"a key that is deleted again", strings.Repeat("z", 20), strings.Repeat("y", 20)} {
		if bytes.Contains(b, []byte(gone)) {
			t.Errorf("got %q still, in free clusters", gone)
		}
	}
	if got := peer(t, "mtype", "-i", name, "::System Volume Information/IndexerVolumeGuid"); string(got) != "x" {
		t.Errorf("a folder of the system: got %q", got)
	}
}

func TestOverwriteKeepsTheLength(t *testing.T) {
	name, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	f := disk(t, name)
	v := opened(t, f)
	want := bytes.Repeat([]byte("fedcba9876543210"), 30_001)
	if err := v.Overwrite(f, "long", want); err != nil {
		t.Fatal(err)
	}
	if got, err := v.ReadFile("LONG", 1<<20); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	for path, b := range map[string][]byte{"long": want[1:], "a": nil, "none": nil, "long/a": nil} {
		if err := v.Overwrite(f, path, b); err == nil {
			t.Errorf("%s with %d bytes: got no error", path, len(b))
		}
	}
	if _, err := v.ReadFile("long", 10); err == nil {
		t.Error("a file beyond the bound: got no error")
	}
	peer(t, "fsck.fat", "-n", name)
}

func TestFullVolumeIsRefused(t *testing.T) {
	name, err := volume(t, smallSize, sample())
	if err != nil {
		t.Fatal(err)
	}
	f := disk(t, name)
	large := Tree()
	large.Add("large", 0o400, make([]byte, smallSize))
	if err := opened(t, f).Replace(f, "heliograph", large); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("got %v, want that the volume is full", err)
	}
}

// FuzzVolume changes a small volume anywhere in its tables and folders: nothing that is
// read or replaced leads out of the volume, or on for ever.
func FuzzVolume(f *testing.F) {
	const size = 1 << 20
	var b bytesAt = make([]byte, size)
	root := Tree()
	root.Add("heliograph/pki/own/a.der", 0o400, []byte("der"))
	root.Add("heliograph/a long name.txt", 0o400, make([]byte, 5000))
	root.Add("a/vmlinuz", 0o400, make([]byte, 9000))
	if err := WriteFAT(b, 0, size, root); err != nil {
		f.Fatal(err)
	}
	head := 64 * sectorSize // tables and folders are there
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 13, 1, 0, 0, 14, 2, 0})
	f.Fuzz(func(t *testing.T, changes []byte) {
		var c bytesAt = bytes.Clone(b)
		for ; len(changes) >= 4; changes = changes[4:] {
			c[(int(changes[0])<<8|int(changes[1]))%head] = changes[2]
		}
		v, err := OpenFAT(c, 0, size)
		if err != nil {
			return
		}
		got, err := v.Files("heliograph", 16, 1<<16, keepAll)
		total := 0
		for name, b := range got {
			total += len(b)
			if !filepath.IsLocal(name) {
				t.Errorf("got a file %q", name)
			}
		}
		if len(got) > 16 || total > 1<<16 {
			t.Errorf("got %d files with %d bytes (%v)", len(got), total, err)
		}
		tree := Tree()
		tree.Add("new", 0o400, []byte("new"))
		if err := v.Replace(c, "heliograph", tree); err != nil {
			return
		}
		again, err := OpenFAT(c, 0, size)
		if err != nil {
			return // the change was in the boot sector, which says where all is
		}
		if got, err := again.Files("heliograph", 16, 1<<16, keepAll); err != nil || string(got["new"]) != "new" {
			t.Errorf("after it was replaced: got %q, %v", got, err)
		}
	})
}

// bytesAt is a disk in memory, whose end is an error.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(b).ReadAt(p, at) }

func (b bytesAt) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(b)) {
		return 0, errors.New("beyond the disk")
	}
	return copy(b[at:], p), nil
}

func (b bytesAt) Sync() error { return nil }
