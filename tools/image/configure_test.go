package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/rootfs/update"
)

// onImage opens an image to change it.
func onImage(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// bootOf is the boot partition of an image, where configurations are.
func bootOf(t *testing.T, f *os.File) []byte {
	t.Helper()
	b := make([]byte, bootSize)
	if _, err := f.ReadAt(b, bootStart); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConfiguredTwiceIsAsIfOnce: of the first configuration nothing is left, wherever one
// looks, and what the second does not name stays.
func TestConfiguredTwiceIsAsIfOnce(t *testing.T) {
	first, second := planted(t, 1), planted(t, 2)
	f, direct := onImage(t, written(t, "virt")), onImage(t, written(t, "virt"))
	settings := func(p plant) Options {
		return Options{Config: p.config, Network: p.network, UpdateKey: p.updateKey, PKI: p.pki, Release: 3}
	}
	if _, err := Configure(f, settings(first)); err != nil {
		t.Fatal(err)
	}
	marks := [][]byte{secret(1)[20:], bytes.Repeat([]byte("B"), 64), bytes.Repeat([]byte("b"), 64), []byte("10.0.0.1/")}
	for _, mark := range marks {
		if !bytes.Contains(bootOf(t, f), mark) {
			t.Fatalf("got no %q in the first configuration", mark)
		}
	}
	kept, err := Configure(f, Options{Config: second.config})
	if want := "[network.toml pki/own/private/own.pem pki/trusted/certs/server.der update.pub]"; err != nil ||
		fmt.Sprint(kept) != want {
		t.Fatalf("got %v left as it was, %v; want %s", kept, err, want)
	}
	if bytes.Contains(bootOf(t, f), marks[0]) {
		t.Error("got the first pair key still")
	}
	if _, err := Configure(f, settings(second)); err != nil {
		t.Fatal(err)
	}
	if _, err := Configure(direct, settings(second)); err != nil {
		t.Fatal(err)
	}
	got := bootOf(t, f)
	for _, mark := range marks {
		if bytes.Contains(got, mark) {
			t.Errorf("got %q of the first configuration still", mark)
		}
	}
	if !bytes.Equal(got, bootOf(t, direct)) {
		t.Error("got other bytes after two configurations than after the second alone")
	}
	fsck(t, f.Name())
	m, _, err := Committed(f)
	if err != nil || m.Version != 3 {
		t.Errorf("got release %d, %v; want 3", m.Version, err)
	}
}

// TestCardOfAFileManager: files are copied as a person on Windows does.
func TestCardOfAFileManager(t *testing.T) {
	f := onImage(t, written(t, "virt"))
	at := f.Name() + "@@4M"
	windows := func(text string) []byte { return []byte("\xEF\xBB\xBF" + strings.ReplaceAll(text, "\n", "\r\n")) }
	const network = "interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"
	text := strings.Replace(roleText, "pair.key", "keys of the hall/Paarschlüssel der Halle 7.key", 1)
	peer(t, "mmd", "-i", at, "::System Volume Information", "::heliograph/keys of the hall", "::.Trashes")
	for name, b := range map[string][]byte{
		"heliograph/heliograph.toml":                                windows(text),
		"heliograph/network.toml":                                   windows(network),
		"heliograph/keys of the hall/Paarschlüssel der Halle 7.key": windows(string(secret(1))),
		"heliograph/desktop.ini":                                    []byte("[.ShellClassInfo]\r\n"),
		"heliograph/._heliograph.toml":                              {0, 5, 22, 7},
		"System Volume Information/WPSettings.dat":                  make([]byte, 12),
	} {
		from := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(from, b, 0o600); err != nil {
			t.Fatal(err)
		}
		peer(t, "mcopy", "-i", at, from, "::"+name)
	}
	d, err := Describe(f)
	if err != nil || d.Pair != "p" || d.Files != 3 {
		t.Errorf("got %+v, %v; want pair p, 3 files", d, err)
	}
	c := contentOf(t, f.Name())
	if err := c.Check("tx", planted(t, 1).options(t, "").Board); err != nil {
		t.Errorf("got %v", err)
	}
	kept, err := Configure(f, Options{Config: planted(t, 2).config})
	if err != nil || fmt.Sprint(kept) != "[network.toml]" {
		t.Errorf("got %v left as it was, %v", kept, err)
	}
	if bytes.Contains(bootOf(t, f), secret(1)[20:60]) {
		t.Error("got the key that a file manager put there still")
	}
	fsck(t, f.Name())
}

func TestWhatSystemsPutBesideCertificatesIsLeftOut(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"own/certs/own.der", "own/._own.der", "trusted/.cache/server.der"} {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("der"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readPKI(folder)
	if d := got.Difference(Content{"pki/own/certs/own.der": []byte("der")}); err != nil || d != "" {
		t.Errorf("got %v, %v; want no %s", got, err, d)
	}
}

func TestConfigureRefusesWithoutWriting(t *testing.T) {
	p := planted(t, 1)
	faulty := filepath.Join(filepath.Dir(p.config), "faulty.toml")
	if err := os.WriteFile(faulty, []byte(roleText+"nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	disks := map[string]*os.File{"an image": onImage(t, written(t, "virt")), "no table": tiny(t, nil),
		"another's": tiny(t, nil)}
	if _, err := disks["no table"].WriteAt([]byte{0}, 510); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		disk string
		o    Options
		want string
	}{
		"a configuration with faults":   {"an image", Options{Config: faulty}, "nonsense"},
		"a role that it does not have":  {"an image", Options{Config: p.config, Role: "rx"}, "is of tx for virt"},
		"a missing configuration":       {"an image", Options{Config: "/none.toml"}, "file not found"},
		"a key that is none":            {"an image", Options{UpdateKey: p.config}, "is not a public key"},
		"a folder without certificates": {"an image", Options{PKI: t.TempDir()}, "has none of the folders"},
		"a disk without partitions":     {"no table", Options{Config: p.config}, "no partition table"},
		"a disk with other ones":        {"another's", Options{Config: p.config}, "other partitions"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &untouched{File: disks[c.disk]}
			_, err := Configure(d, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if d.writes != 0 {
				t.Errorf("got %d writes, want none", d.writes)
			}
		})
	}
}

// untouched counts what is written.
type untouched struct {
	*os.File
	writes int
}

func (u *untouched) WriteAt(b []byte, at int64) (int, error) {
	u.writes++
	return u.File.WriteAt(b, at)
}

// TestUpdateOfABaseImage is the same as that of a checkout, and brings the key of the
// updates after it when one is named.
func TestUpdateOfABaseImage(t *testing.T) {
	folder, p := t.TempDir(), planted(t, 1)
	base := packedBase(t, folder, "next", "virt")
	_, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := p.options(t, folder)
	o.Version, o.Release, o.UpdateKey = "next", 7, ""
	if err := BuildUpdate(o, private); err != nil {
		t.Fatal(err)
	}
	s, err := assembled(Options{Role: "tx", Board: o.Board, Source: "../..", Version: "next"}, nothing())
	if err != nil {
		t.Fatal(err)
	}
	direct := o
	direct.Output = filepath.Join(t.TempDir(), "direct.update")
	if err := s.seal(direct, private); err != nil {
		t.Fatal(err)
	}
	if digest(t, o.Output) != digest(t, direct.Output) {
		t.Errorf("an update of %s and one of the checkout differ", filepath.Base(base))
	}
	o.UpdateKey = p.updateKey
	if err := BuildUpdate(o, private); err != nil {
		t.Fatal(err)
	}
	card := onImage(t, written(t, "virt"))
	c, err := update.Open(card, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := onImage(t, o.Output)
	m, err := c.Install(file, private.Public().(minisign.PublicKey), update.Target{Role: "tx", Board: "virt"})
	if err != nil || m.Version != 7 || m.UpdateKey+"\n" != string(mustRead(t, p.updateKey)) {
		t.Errorf("got release %d with key %q, %v", m.Version, m.UpdateKey, err)
	}
}

// TestPairKeyOfTheCardStays when the new configuration names it and its file is on the
// card alone, as "flash --pair" leaves it.
func TestPairKeyOfTheCardStays(t *testing.T) {
	p, f := planted(t, 1), onImage(t, written(t, "virt"))
	at := filepath.Join(filepath.Dir(p.config), "pair.key")
	if err := os.Rename(at, at+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := Configure(f, Options{Config: p.config}); err == nil ||
		!strings.Contains(err.Error(), "file not found") {
		t.Errorf("got %v from a card without the key, want that it is missing", err)
	}
	if err := os.Rename(at+".away", at); err != nil {
		t.Fatal(err)
	}
	if _, err := Configure(f, Options{Config: p.config}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(roleText, ":514", ":515", 1)
	if err := os.WriteFile(p.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	var notes strings.Builder
	kept, err := Configure(f, Options{Config: p.config, Notes: &notes})
	if err != nil || fmt.Sprint(kept) != "[pair.key]" ||
		!strings.Contains(notes.String(), "there is no pair.key beside") {
		t.Errorf("got %v left as it was, %q, %v; want the pair key", kept, notes.String(), err)
	}
	want := Content{"heliograph.toml": []byte(changed), "pair.key": secret(1)}
	if d := contentOf(t, f.Name()).Difference(want); d != "" {
		t.Errorf("got another %s", d)
	}
}

var errStopped = errors.New("stopped")

// stopping fails at one of its writes, and at all after it.
type stopping struct {
	*os.File
	left int
}

func (s *stopping) WriteAt(b []byte, at int64) (int, error) {
	if s.left--; s.left < 0 {
		return 0, errStopped
	}
	return s.File.WriteAt(b, at)
}

// TestInterruptedConfigurationIsNone: there is the old one, the new one or none, at
// whichever write it ends, and the next attempt succeeds.
func TestInterruptedConfigurationIsNone(t *testing.T) {
	old := Content{"heliograph.toml": []byte("old")}
	new := Content{"heliograph.toml": []byte("new"), "pair.key": secret(1)}
	f := tiny(t, old)
	for n := 0; ; n++ {
		if err := WriteContent(f, old); err != nil {
			t.Fatal(err)
		}
		done := WriteContent(&stopping{f, n}, new)
		got, err := ReadContent(f)
		if err != nil {
			t.Fatalf("after %d writes: %v", n, err)
		}
		if len(got) != 0 && got.Difference(old) != "" && got.Difference(new) != "" {
			t.Errorf("after %d writes: got a mixture, another %s", n, got.Difference(new))
		}
		if done == nil {
			if n < 5 {
				t.Errorf("got all in %d writes", n)
			}
			return
		}
		if !errors.Is(done, errStopped) {
			t.Fatalf("after %d writes: got %v", n, done)
		}
	}
}
