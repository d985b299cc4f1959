package image

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
)

// nothing are programs that are none, of role tx.
func nothing() programs {
	return programs{role: []byte("role"), pid1: []byte("pid1"), initramfs: []byte("initramfs"), bill: []byte("{}")}
}

// written makes an image of role tx around programs that are none.
func written(t *testing.T, board string) string {
	t.Helper()
	b, ok := boards.ByName(board)
	if !ok {
		t.Fatalf("no board %q", board)
	}
	o := Options{Role: "tx", Board: b, Source: "../..", Version: "1.2.0", Output: filepath.Join(t.TempDir(), "tx.img")}
	if err := write(o.Output, func(f *os.File) error { return assemble(f, o, nothing()) }); err != nil {
		t.Fatal(err)
	}
	return o.Output
}

// peer runs another project's tool, or skips.
func peer(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Skipf("not proved: what an image holds, because %s is not installed", name)
	}
	said, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return said
}

func digest(t *testing.T, name string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func TestTwoImagesOfTheSameAreEqual(t *testing.T) {
	if got, want := digest(t, written(t, "rpi4b")), digest(t, written(t, "rpi4b")); got != want {
		t.Errorf("got %x the second time, want %x", got, want)
	}
}

// TestAWrittenCardIsNew although a copy of a superblock of what the card had is behind the image.
func TestAWrittenCardIsNew(t *testing.T) {
	f := onImage(t, written(t, "virt"))
	want := "heliograph: being formatted\n\x00"
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, dataStart); err != nil || string(got) != want {
		t.Errorf("got %q, %v where the data partition begins; want %q", got, err, want)
	}
	attempts := make([]byte, sectorSize)
	if _, err := f.ReadAt(attempts, 3<<20); err != nil || bytes.Count(attempts, []byte{0}) != sectorSize {
		t.Errorf("got attempts to mount the data partition, %v; want none", err)
	}
}

func TestEveryBoardHasItsFiles(t *testing.T) {
	for _, b := range boards.All() {
		if b.Console.Device == "" {
			continue // a PC boots from its own disk
		}
		t.Run(b.Name, func(t *testing.T) {
			at := written(t, b.Name) + "@@4M"
			if line := string(peer(t, "mtype", "-i", at, "::a/cmdline.txt")); !strings.Contains(line, "-02 ") ||
				strings.Contains(line, strings.TrimPrefix(b.Link.Device, "/dev/")+",") {
				t.Errorf("got command line %q, want slot A and no console on the link", line)
			}
			peer(t, "mtype", "-i", at, "::a/vmlinuz")
			if b.HasFirmware {
				peer(t, "mtype", "-i", at, "::a/"+b.DeviceTree)
				peer(t, "mtype", "-i", at, "::config.txt")
			}
			for _, name := range b.Firmware {
				peer(t, "mtype", "-i", at, "::"+name)
			}
		})
	}
}

func TestConfigurationBringsTheFilesThatItNames(t *testing.T) {
	const valid = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:1\"\nkey_file = " +
		"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"
	for _, c := range []struct{ name, text, fault string }{
		{"as it should be", valid, ""},
		{"no users", valid + "[status]\nlisten = \"0.0.0.0:9464\"\nusers_file = \"\"\n", ""},
		{"a file that is left out of an image", strings.Replace(valid, "pair.key", ".pair.key", 1), "names .pair.key"},
		{"a file in a folder that is", strings.Replace(valid, "pair.key", ".keys/pair.key", 1), "names .keys/pair.key"},
		{"unknown key", valid + "nonsense = 1\n", "nonsense"},
		{"state where it would be lost", valid + "[state]\ndirectory = \"/var\"\n", "data partition"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			name := filepath.Join(folder, "tx.toml")
			key := string(pairkey.Format([pairkey.Size]byte{1}))
			if err := os.Mkdir(filepath.Join(folder, ".keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			for path, text := range map[string]string{name: c.text, filepath.Join(folder, "pair.key"): key,
				filepath.Join(folder, ".pair.key"): key, filepath.Join(folder, ".keys/pair.key"): key,
				filepath.Join(folder, "other.key"): "secret"} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p, err := Options{Role: "tx", Config: name}.read(nil)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("got %v, want a fault with %q", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := Content{"heliograph.toml": []byte(c.text), "pair.key": []byte(key)}
			if d := p.over(Content{}).Difference(want); d != "" {
				t.Errorf("got another %s", d)
			}
		})
	}
}
