package flash

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
	"heliograph/tools/image/filesystem"
)

const valid = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"10.0.0.3:1\"\nkey_file = " +
	"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"

// Where the parts of a tiny image are.
const (
	tinyBoot = 4 << 20
	tinySlot = 44 << 20
	tinySize = 48<<20 + sector
)

// tiny writes a whole image with little in it: a set of one file, a hole behind it and a
// last byte.
func tiny(t testing.TB, files map[string]string) string {
	t.Helper()
	const signature = 0x01020304
	name := filepath.Join(folder(t), "tiny.img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, sector)
	le := binary.LittleEndian
	le.PutUint32(head[440:], signature)
	for i, p := range []struct{ start, length uint32 }{
		{tinyBoot, tinySlot - tinyBoot}, {tinySlot, 1 << 20}, {tinySlot + 1<<20, 1 << 20},
		{tinySlot + 2<<20, 2<<20 + sector},
	} {
		head[446+16*i+4] = 0x0C
		le.PutUint32(head[446+16*i+8:], p.start/sector)
		le.PutUint32(head[446+16*i+12:], p.length/sector)
	}
	copy(head[510:], "\x55\xAA")
	slot := []byte("the root filesystem")
	role := "tx"
	if strings.Contains(files["heliograph.toml"], "forward = ") {
		role = "rx"
	}
	m := release.Manifest{Role: role, Board: "virt", Version: 3, Name: "test", Arguments: "quiet",
		Files: []release.Part{release.PartOf("vmlinuz", []byte("kernel"))}, Root: release.PartOf("root", slot)}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	root := filesystem.Tree()
	root.Add("config.txt", 0o444, []byte("arm_64bit=1\nos_prefix=a/\n"))
	root.Add("a/vmlinuz", 0o444, []byte("kernel"))
	root.Add("a/"+update.ManifestFile, 0o444, append(text, make([]byte, update.ManifestRoom-len(text))...))
	root.Add("a/"+update.ArgumentFile, 0o444, update.CommandLine(m.Arguments, signature, update.A))
	for path, text := range files {
		root.Add("heliograph/"+path, 0o400, []byte(text))
	}
	for _, err := range []error{
		filesystem.WriteFAT(f, tinyBoot, tinySlot-tinyBoot, root), writeAt(f, head, 0), writeAt(f, slot, tinySlot),
		writeAt(f, []byte{1}, tinySize-1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func silent(string, ...any) {}

func configured() map[string]string {
	return map[string]string{"heliograph.toml": valid, "pair.key": string(pairkey.Format([pairkey.Size]byte{1}))}
}

// driveless is a computer without drives.
type driveless struct{}

func (driveless) Drives() ([]Drive, error) { return nil, nil }

func (driveless) At(path string) (Drive, bool, error) {
	is, err := ordinary(path)
	if err == nil && !is {
		err = errors.New("flash: " + path + " is not a drive")
	}
	return Drive{}, false, err
}

func (driveless) Open(Drive, bool) (Disk, error) { return nil, errors.ErrUnsupported }

// writer returns a Writer without a terminal: a question ends the test.
func writer(t *testing.T, out *strings.Builder) Writer {
	return Writer{
		Machine: driveless{}, Out: out, Now: func() time.Time { return time.Unix(0, 0) },
		Ask: func(_ context.Context, question string) (string, error) {
			t.Errorf("got the question %q, want none", question)
			return "", errors.New("there is no terminal")
		},
	}
}

func TestPlainFileBecomesTheImage(t *testing.T) {
	image, to := tiny(t, configured()), filepath.Join(folder(t), "card")
	if err := os.WriteFile(to, []byte(strings.Repeat("old", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writer(t, &out).Card(t.Context(), image, to); err != nil {
		t.Fatal(err)
	}
	if want, got := read(t, image), read(t, to); want != got {
		t.Errorf("got a file of %d bytes that differs, want the image of %d", len(got), len(want))
	}
	want := to + ": written, read back and equal, with 2 files of configuration; copy it to a card as it is\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStoppedSaysThatTheCardIsNotUsable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := filepath.Join(folder(t), "card")
	var out strings.Builder
	err := writer(t, &out).Card(ctx, tiny(t, configured()), to)
	if want := to + " is NOT usable: stopped before it was whole; flash it again"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("got a part of an image left, which may hold keys")
	}
}

func TestConfigurationIsComparedOnItsOwn(t *testing.T) {
	s, err := openSource(tiny(t, configured()), silent)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.content["pair.key"] = []byte("what was to be there")
	var out strings.Builder
	err = writer(t, &out).write(t.Context(), s, target{path: filepath.Join(folder(t), "card")})
	if err == nil || !strings.Contains(err.Error(), "it gave back another pair.key") {
		t.Errorf("got %v, want that the key differs", err)
	}
}

// folder is a new folder for a test. On Windows it is left to the test's end alone: Wine
// does not know how Go removes files there.
func folder(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "windows" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
