package update

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/tools/image/filesystem"
)

var write = flag.Bool("write", false, "write the golden vectors anew")

// golden compares bytes with those of a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *write {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, %v; want the %d of the file:\n%s", name, len(got), err, len(want), hex.Dump(got[:min(len(got), 256)]))
	}
}

func tiny() release {
	contents := [][]byte{[]byte("initramfs"), []byte("kernel"), []byte("root filesystem")}
	return release{Manifest{
		Role: "tx", Board: "virt", Version: 7, Name: "v7", Arguments: "quiet",
		Files: []Part{PartOf("initramfs", contents[0]), PartOf("vmlinuz", contents[1])}, Root: PartOf("root", contents[2]),
	}, contents}
}

func fixed() record {
	return record{sequence: 3, floor: 4, pending: 5, refused: 6, tries: 1, boots: 2, target: B}
}

func TestFormatsStayAsTheyAre(t *testing.T) {
	golden(t, "tiny.update", sealed(t, tiny(), key(t, 1)))
	golden(t, "record.bin", fixed().encode())
	golden(t, "cmdline.txt", CommandLine("console=ttyS0,115200 quiet", 0x0badcafe, B))
}

// TestMinisignTakesOurSignature keeps the manifest and the signature as the
// program minisign wants them: with the key below,
//
//	minisign -V -p testdata/key.pub -m testdata/manifest.json
func TestMinisignTakesOurSignature(t *testing.T) {
	b := sealed(t, tiny(), key(t, 1))
	size, signed := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	golden(t, "manifest.json", b[streamHeader:streamHeader+size])
	golden(t, "manifest.json.minisig", b[streamHeader+size:streamHeader+size+signed])
	text, err := public(key(t, 1)).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "key.pub", text)
}

func TestRecordSurvivesTheLossOfOneCopy(t *testing.T) {
	d := newCard(t, newRelease(1))
	c := open(t, d, A)
	for boots := uint32(1); boots < 5; boots++ {
		r := c.record
		r.boots = boots
		if err := c.save(r); err != nil {
			t.Fatal(err)
		}
		if got := readRecord(d); got.boots != boots {
			t.Errorf("got %d starts, want %d", got.boots, boots)
		}
		torn := d.clone()
		torn.put([]byte{0xFF}, recordAt[c.record.sequence%2]+36)
		if got := readRecord(torn); got.boots != boots-1 {
			t.Errorf("newest copy torn: got %d starts, want %d", got.boots, boots-1)
		}
	}
	for _, at := range recordAt {
		d.put(make([]byte, sectorSize), at)
	}
	if got := readRecord(d); got != (record{}) {
		t.Errorf("both copies lost: got %+v, want zeros", got)
	}
	if got := open(t, d, A).floor(A); got != 1 {
		t.Errorf("both copies lost: got floor %d, want that of the committed set, 1", got)
	}
}

func TestManifestRefuses(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"a role that is none":        func(m *Manifest) { m.Role = "mx" },
		"no board":                   func(m *Manifest) { m.Board = "" },
		"no version":                 func(m *Manifest) { m.Version = 0 },
		"arguments of two lines":     func(m *Manifest) { m.Arguments = "quiet\ninit=/bin/sh" },
		"arguments beyond the room":  func(m *Manifest) { m.Arguments = strings.Repeat("a", maxArguments+1) },
		"no files":                   func(m *Manifest) { m.Files = nil },
		"files out of order":         func(m *Manifest) { m.Files[0], m.Files[1] = m.Files[1], m.Files[0] },
		"a file twice":               func(m *Manifest) { m.Files[1] = m.Files[0] },
		"a file outside of the set":  func(m *Manifest) { m.Files[0].Name = "../config.txt" },
		"a file by its whole path":   func(m *Manifest) { m.Files[0].Name = "/a" },
		"the manifest among them":    func(m *Manifest) { m.Files[0].Name = ManifestFile },
		"the command line too":       func(m *Manifest) { m.Files[0].Name = ArgumentFile },
		"a file with nothing":        func(m *Manifest) { m.Files[0].Size = 0 },
		"a size below nothing":       func(m *Manifest) { m.Root.Size = -1 },
		"a size beyond any card":     func(m *Manifest) { m.Root.Size = 1 << 40 },
		"a name with a control code": func(m *Manifest) { m.Files[0].Name = "a\x1bb" },
	} {
		t.Run(name, func(t *testing.T) {
			m := tiny().m
			change(&m)
			if _, err := m.Encode(); err == nil {
				t.Errorf("got no error for %+v", m)
			}
		})
	}
	for name, text := range map[string]string{
		"an unknown field":    `{"role":"tx","colour":"red"}`,
		"a digest too short":  `{"root":{"sha256":"00"}}`,
		"something behind it": `{"role":"tx"} {}`,
		"no JSON":             "minisign",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decodeManifest([]byte(text)); err == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestRunningReadsWhatCommandLineWrites(t *testing.T) {
	for _, set := range []Set{A, B} {
		line := CommandLine("console=ttyS0,115200 quiet", 0x00c0ffee, set)
		if len(line) != ArgumentRoom {
			t.Errorf("got %d bytes, want %d", len(line), ArgumentRoom)
		}
		signature, got, err := Running(string(line))
		if signature != 0x00c0ffee || got != set || err != nil {
			t.Errorf("got %08x, %q, %v; want 00c0ffee, %q", signature, got, err, set)
		}
	}
	for _, line := range []string{"", "root=/dev/mmcblk0p2", "root=PARTUUID=12345678-04", "root=PARTUUID=xyz"} {
		if _, _, err := Running(line); err == nil {
			t.Errorf("%q: got no error", line)
		}
	}
}

// FuzzStream: what is taken was signed, whatever the file looks like, and is what
// the manifest says.
func FuzzStream(f *testing.F) {
	_, private, _ := minisign.GenerateKey(bytes.NewReader(make([]byte, 4096)))
	var b bytes.Buffer
	r := tiny()
	if err := Seal(&b, r.m, private, r.contents...); err != nil {
		f.Fatal(err)
	}
	whole := b.Bytes()
	f.Add(whole)
	f.Add(whole[:50])
	f.Add([]byte(streamMagic + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, file []byte) {
		in := bytes.NewReader(file)
		m, _, err := read(in, public(private))
		if err != nil {
			return
		}
		if err := m.each(in, func(int, int64, []byte) error { return nil }); err == nil && !bytes.Equal(file, whole) {
			t.Errorf("a file was taken that nobody signed: %q", file)
		}
	})
}

// FuzzManifest: what is read is written the same.
func FuzzManifest(f *testing.F) {
	text, err := tiny().m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decodeManifest(text)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			return // names that take more room when they are escaped
		}
		back, err := decodeManifest(again)
		third, _ := back.Encode()
		if err != nil || !bytes.Equal(again, third) {
			t.Errorf("got %s, %v; want %s", third, err, again)
		}
	})
}

// FuzzRecord: one layout for each record.
func FuzzRecord(f *testing.F) {
	f.Add(fixed().encode())
	f.Add(make([]byte, sectorSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == sectorSize {
			binary.BigEndian.PutUint32(b[sectorSize-4:], checkOf(b))
		}
		if r, ok := decodeRecord(b); ok && !bytes.Equal(r.encode(), b) {
			t.Errorf("got %x, want %x", r.encode(), b)
		}
	})
}

// FuzzCard damages a card's boot partition: nothing hangs, and no file is found
// outside of it.
func FuzzCard(f *testing.F) {
	root := filesystem.Tree()
	root.Add("config.txt", 0o444, []byte("x\nos_prefix=a/\n"))
	root.Add("a/overlays/a-long-name.dtbo", 0o444, make([]byte, 3000))
	root.Add("a/vmlinuz", 0o444, make([]byte, 5000))
	whole := &memory{pages: map[int64][]byte{}}
	part := extent{testBoot, 1 << 20}
	if err := filesystem.WriteFAT(whole, part.at, part.size, root); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 13, 1})
	f.Add([]byte{0x40, 0x08, 2})
	f.Fuzz(func(t *testing.T, changes []byte) {
		d := whole.clone()
		for ; len(changes) >= 3; changes = changes[3:] { // of the first sectors, where all is said
			d.put(changes[2:3], part.at+int64(binary.BigEndian.Uint16(changes)))
		}
		v, err := openVolume(d, part)
		if err != nil {
			return
		}
		files, err := v.files("a/")
		if err != nil {
			return
		}
		for name, e := range files {
			if e.size > 0 && (e.at < part.at || e.at+e.size > part.at+part.size) {
				t.Errorf("%q is at %d with %d bytes, outside of the partition", name, e.at, e.size)
			}
		}
	})
}
