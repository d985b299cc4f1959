package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"github.com/klauspost/compress/zstd"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
)

// plant is a folder with what one board is configured from.
type plant struct{ config, network, updateKey, pki string }

const roleText = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"10.0.0.99:1\"\nkey_file = " +
	"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"

// secret is a pair key of this byte, as text that can be searched for.
func secret(mark byte) []byte {
	return pairkey.Format([pairkey.Size]byte{mark, mark, mark, mark, mark, mark})
}

func planted(t *testing.T, mark byte) plant {
	t.Helper()
	dir := t.TempDir()
	public, _, err := minisign.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{mark}, 4096)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"tx.toml": roleText, "pair.key": string(secret(mark)),
		"network.toml":                  fmt.Sprintf("interface = \"eth0\"\naddress = \"10.0.0.%d/24\"\n", mark),
		"update.pub":                    public.String() + "\n",
		"pki/own/private/own.pem":       strings.Repeat(string(rune('A'+mark)), 5000),
		"pki/trusted/certs/server.der":  strings.Repeat(string(rune('a'+mark)), 700),
		"pki/rejected/certs/stranger.x": "not taken",
		"pki/trusted/.DS_Store":         "not taken",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return plant{at("tx.toml"), at("network.toml"), at("update.pub"), at("pki")}
}

// options are those of a board of the plant, whose base images are in a folder.
func (p plant) options(t *testing.T, images string) Options {
	t.Helper()
	b, _ := boards.ByName("virt")
	return Options{Role: "tx", Board: b, Config: p.config, Network: p.network, UpdateKey: p.updateKey, PKI: p.pki,
		Images: images, Version: "1.2.0", Output: filepath.Join(t.TempDir(), "tx.img")}
}

// packedBase writes the base image of programs that are none into a folder.
func packedBase(t *testing.T, folder, version, board string) string {
	t.Helper()
	b, _ := boards.ByName(board)
	o := Options{Role: "tx", Board: b, Source: "../..", Version: version}
	name := filepath.Join(folder, BaseName(version, board, "tx"))
	if err := pack(name, func(f *os.File) error { return assemble(f, o, nothing()) }); err != nil {
		t.Fatal(err)
	}
	return name
}

func contentOf(t *testing.T, name string) Content {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := ReadContent(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBaseImageGivesWhatACheckoutGives, byte for byte, with the configuration as it stands
// on the PC, and nothing else of the folders that it is in.
func TestBaseImageGivesWhatACheckoutGives(t *testing.T) {
	folder, p := t.TempDir(), planted(t, 1)
	one := packedBase(t, folder, "1.2.0", "virt")
	if again := packedBase(t, t.TempDir(), "1.2.0", "virt"); digest(t, one) != digest(t, again) {
		t.Error("two base images of the same differ")
	}
	o := p.options(t, folder)
	if err := Build(o); err != nil {
		t.Fatal(err)
	}
	direct := o
	direct.Source, direct.Output = "../..", filepath.Join(t.TempDir(), "direct.img")
	files, err := direct.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(direct.Output, func(f *os.File) error {
		if err := assemble(f, direct, nothing()); err != nil {
			return err
		}
		_, err := configure(f, 0, files)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if digest(t, o.Output) != digest(t, direct.Output) {
		t.Error("an image of the base image and one of the checkout differ")
	}
	want := Content{"heliograph.toml": []byte(roleText), "pair.key": secret(1)}
	for to, from := range map[string]string{"network.toml": p.network, "update.pub": p.updateKey,
		"pki/own/private/own.pem":      filepath.Join(p.pki, "own/private/own.pem"),
		"pki/trusted/certs/server.der": filepath.Join(p.pki, "trusted/certs/server.der")} {
		want[to] = mustRead(t, from)
	}
	if d := contentOf(t, o.Output).Difference(want); d != "" {
		t.Errorf("got another %s", d)
	}
	fsck(t, o.Output)
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBaseImagesThatAreNone(t *testing.T) {
	whole := mustRead(t, packedBase(t, t.TempDir(), "1.2.0", "virt"))
	other := mustRead(t, packedBase(t, t.TempDir(), "1.2.0", "rpi3b"))
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	if err != nil {
		t.Fatal(err)
	}
	for range imageSize>>20 + 1 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	as := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, name string) {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	plain := func(size int64, at int64) func(*testing.T, string) { // of another length, with another byte
		return func(t *testing.T, name string) {
			spoiled(t, written(t, "virt"), name, size, at)
		}
	}
	const name = "heliograph-1.2.0-virt-tx.img"
	for what, c := range map[string]struct {
		name string
		file func(*testing.T, string)
		sums string
		want string
	}{
		"cut short":              {name + ".zst", as(whole[:len(whole)/2]), "", "it is damaged (zstd"},
		"a bit changed":          {name + ".zst", as(flipped), "", "is damaged"},
		"not zstd":               {name + ".zst", as([]byte("PK\x03\x04")), "", "it is packed with zip"},
		"empty":                  {name + ".zst", as(nil), "", "no partition table"},
		"of another board":       {name + ".zst", as(other), "", "is of tx for rpi3b, not of tx for virt"},
		"a bomb":                 {name + ".zst", as(bomb.Bytes()), "", "holds more than the 512 MiB"},
		"no partition table":     {name, plain(imageSize, 510), "", "no partition table"},
		"unpacked and cut":       {name, plain(300<<20, 0), "", "ends at byte 314572800, in its partition 2"},
		"the root slot changed":  {name, plain(imageSize, slotAStart+100), "", "root is damaged"},
		"not FAT":                {name, plain(imageSize, bootStart+510), "", "not FAT32"},
		"another than the sums":  {name + ".zst", as(whole), strings.Repeat("0", 64), "SHA256SUMS says 000000000000"},
		"nothing for the board":  {"heliograph-1.2.0-rpi5-tx.img.zst", as(nil), "", "no base image for virt tx in "},
		"nothing for the role":   {"heliograph-1.2.0-virt-rx.img.zst", as(nil), "", "unpack the release"},
		"no version in its name": {"heliograph-virt-tx.img.zst", as(nil), "", "no base image for virt tx in "},
	} {
		t.Run(what, func(t *testing.T) {
			folder := t.TempDir()
			c.file(t, filepath.Join(folder, c.name))
			if c.sums != "" {
				as([]byte(c.sums+" *"+c.name+"\r\n"))(t, filepath.Join(folder, "SHA256SUMS"))
			}
			o := planted(t, 1).options(t, folder)
			err := Build(o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
			if list, _ := os.ReadDir(filepath.Dir(o.Output)); len(list) != 0 {
				t.Errorf("got %v left behind", list)
			}
		})
	}
}

// spoiled moves an image, and changes its length and one of its bytes.
func spoiled(t *testing.T, from, to string, size, at int64) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}
