package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
	"heliograph/tools/image/filesystem"
)

// Where the parts of a small card are, in bytes.
const (
	cardBoot = 4 << 20
	cardSlot = 44 << 20
	cardRoom = 1 << 20
)

// smallRelease is one that a small card has room for.
func smallRelease(version uint64) (m release.Manifest, contents [][]byte) {
	contents = [][]byte{[]byte("kernel"), []byte("root filesystem")}
	return release.Manifest{Role: "tx", Board: "virt", Version: version, Name: "test", Arguments: "quiet",
		Files: []release.Part{release.PartOf("vmlinuz", contents[0])},
		Root:  release.PartOf("root", contents[1])}, contents
}

// smallCard writes a whole card, or an image of it, with the key of updates if it is not "".
func smallCard(t *testing.T, key string) string {
	t.Helper()
	const signature = 0x01020304
	f, err := os.Create(filepath.Join(t.TempDir(), "card.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, contents := smallRelease(1)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	root := filesystem.Tree()
	root.Add("config.txt", 0o444, []byte("arm_64bit=1\nos_prefix=a/\n"))
	root.Add("tryboot.txt", 0o444, []byte("arm_64bit=1\nos_prefix=b/\n"))
	for _, set := range []update.Set{update.A, update.B} {
		for name, b := range map[string][]byte{"vmlinuz": contents[0],
			update.ManifestFile: append(bytes.Clone(text), make([]byte, update.ManifestRoom-len(text))...),
			update.ArgumentFile: update.CommandLine(m.Arguments, signature, set)} {
			if set == update.B {
				b = make([]byte, len(b))
			}
			root.Add(string(rune(set))+"/"+name, 0o444, b)
		}
	}
	if key != "" {
		root.Add("heliograph/update.pub", 0o400, []byte(key))
	}
	head := make([]byte, 512)
	le := binary.LittleEndian
	le.PutUint32(head[440:], signature)
	for i, at := range []uint32{cardBoot, cardSlot, cardSlot + cardRoom, cardSlot + 2*cardRoom} {
		length := uint32(cardRoom)
		if i == 0 {
			length = cardSlot - cardBoot
		}
		head[446+16*i+4] = 0x0C
		le.PutUint32(head[446+16*i+8:], at/512)
		le.PutUint32(head[446+16*i+12:], length/512)
	}
	copy(head[510:], "\x55\xAA")
	put := func(b []byte, at int64) error { _, err := f.WriteAt(b, at); return err }
	for _, err := range []error{filesystem.WriteFAT(f, cardBoot, cardSlot-cardBoot, root), put(head, 0),
		put(contents[1], cardSlot), f.Truncate(cardSlot + 3*cardRoom)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// signing is a key of updates, and the files of its parts.
type signing struct {
	private        minisign.PrivateKey
	public         minisign.PublicKey
	secret, shared string
}

func newSigning(t *testing.T) signing {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plant.key")
	if code, _, stderr := call(t, "\n", "update", "key", name); code != 0 {
		t.Fatal(stderr)
	}
	s := signing{secret: name, shared: name + ".pub"}
	text, err := os.ReadFile(name)
	if err == nil {
		err = s.private.UnmarshalText(text)
	}
	if err == nil {
		s.public, err = release.ReadKey(s.shared)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// smallUpdate writes an update of a small card.
func smallUpdate(t *testing.T, by signing) string {
	t.Helper()
	m, contents := smallRelease(2)
	var b bytes.Buffer
	if err := release.Seal(&b, m, by.private, contents...); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "tx-2.update")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestInstallSaysWhoseKeyDecides(t *testing.T) {
	plant, other := newSigning(t), newSigning(t)
	for name, c := range map[string]struct {
		key  signing
		card string // what it has for updates over the network
		code int
		want []string
		not  string
	}{
		"the card's own": {plant, plant.public.String(), 0, []string{"release 2 (test) is tried"}, "over the network"},
		"another given": {other, plant.public.String(), 1, []string{"the update is signed with key ",
			other.shared + " is key "}, "this card has"},
		"the card has another": {plant, other.public.String(), 0, []string{"is tried",
			"over the network the card takes updates that are signed with key "}, "no key of its own"},
		"the card has none": {plant, "", 0, []string{"is tried", "has no key of its own for updates"}, "signed with"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", "update", "install", "--key", c.key.shared, smallUpdate(t, plant),
				smallCard(t, c.card))
			for _, want := range c.want {
				if code != c.code || !strings.Contains(stdout+stderr, want) {
					t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, want)
				}
			}
			if strings.Contains(stdout+stderr, c.not) {
				t.Errorf("got %q, want nothing of %q", stdout+stderr, c.not)
			}
		})
	}
}
