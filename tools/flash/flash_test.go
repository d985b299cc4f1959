package flash

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image/filesystem"
)

const valid = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:1\"\nkey_file = " +
	"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"

// tiny writes an image that has a boot partition and nothing behind it but a
// hole and a last byte.
func tiny(t testing.TB, files map[string]string) string {
	t.Helper()
	const start, length, whole = 1 << 20, 40 << 20, 48<<20 + sector
	name := filepath.Join(t.TempDir(), "tiny.img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, sector)
	head[446+4] = 0x0C
	binary.LittleEndian.PutUint32(head[446+8:], start/sector)
	binary.LittleEndian.PutUint32(head[446+12:], length/sector)
	copy(head[510:], "\x55\xAA")
	root := filesystem.Tree()
	root.Add("config.txt", 0o444, []byte("arm_64bit=1\n"))
	for path, text := range files {
		root.Add("heliograph/"+path, 0o400, []byte(text))
	}
	for _, err := range []error{
		filesystem.WriteFAT(f, start, length, root), writeAt(f, head, 0), writeAt(f, []byte{1}, whole-1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func configured() map[string]string {
	return map[string]string{"heliograph.toml": valid, "pair.key": string(pairkey.Format([pairkey.Size]byte{1}))}
}

// writer returns a Writer without a terminal: a question ends the test.
func writer(t *testing.T, out *strings.Builder) Writer {
	return Writer{
		Machine: Linux{fstest.MapFS{}}, Out: out, Now: func() time.Time { return time.Unix(0, 0) },
		Ask: func(_ context.Context, question string) (string, error) {
			t.Errorf("got the question %q, want none", question)
			return "", errors.New("there is no terminal")
		},
	}
}

func TestPlainFileBecomesTheImage(t *testing.T) {
	image, to := tiny(t, configured()), filepath.Join(t.TempDir(), "card")
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
	for _, want := range []string{"writing 100 %", "reading back 100 %", "with 2 files of configuration"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want it to say %q", out.String(), want)
		}
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
	to := filepath.Join(t.TempDir(), "card")
	var out strings.Builder
	err := writer(t, &out).Card(ctx, tiny(t, configured()), to)
	if want := to + " is NOT usable: stopped before it was whole; flash it again"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestProgressOnATerminalIsOneLine(t *testing.T) {
	now := time.Unix(0, 0)
	var out strings.Builder
	p := &progress{out: &out, terminal: true, now: func() time.Time { return now }}
	p.start("writing", 1000e6)
	now = now.Add(10 * time.Second)
	p.step(250e6)
	p.step(251e6) // the same percent
	p.step(1000e6)
	want := "\rwriting      [..............................]   0 % \x1b[K" +
		"\rwriting      [#######.......................]  25 % 25.0 MB/s, 30s left\x1b[K" +
		"\rwriting      [##############################] 100 % 100.0 MB/s, 0s left\x1b[K\n"
	if got := out.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestConfigurationIsComparedOnItsOwn(t *testing.T) {
	s, err := openSource(tiny(t, configured()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	s.content["pair.key"] = []byte("what was to be there")
	var out strings.Builder
	err = writer(t, &out).write(t.Context(), s, target{path: filepath.Join(t.TempDir(), "card")})
	if err == nil || !strings.Contains(err.Error(), "it gave back another pair.key") {
		t.Errorf("got %v, want that the key differs", err)
	}
}
