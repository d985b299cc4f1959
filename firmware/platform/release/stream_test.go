package release

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/ci/golden"
)

// sample is a release and what its parts hold.
type sample struct {
	m        Manifest
	contents [][]byte
}

func tiny() sample {
	contents := [][]byte{[]byte("initramfs"), []byte("kernel"), []byte("root filesystem")}
	return sample{Manifest{
		Role: "tx", Board: "virt", Version: 7, Name: "v7", Arguments: "quiet",
		Files: []Part{PartOf("initramfs", contents[0]), PartOf("vmlinuz", contents[1])},
		Root:  PartOf("root", contents[2]),
	}, contents}
}

// key is the same in each run.
func key(t *testing.T, seed uint64) minisign.PrivateKey {
	t.Helper()
	_, private, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{byte(seed)}))
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func public(k minisign.PrivateKey) minisign.PublicKey { return k.Public().(minisign.PublicKey) }

func sealed(t *testing.T, r sample, k minisign.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Seal(&b, r.m, k, r.contents...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormatStaysAsItIs(t *testing.T) {
	golden.Compare(t, "tiny.update", sealed(t, tiny(), key(t, 1)))
}

// TestMinisignTakesOurSignature keeps the manifest and the signature as the
// program minisign wants them: with the key below,
//
//	minisign -V -p testdata/key.pub -m testdata/manifest.json
func TestMinisignTakesOurSignature(t *testing.T) {
	b := sealed(t, tiny(), key(t, 1))
	size, signed := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	golden.Compare(t, "manifest.json", b[streamHeader:streamHeader+size])
	golden.Compare(t, "manifest.json.minisig", b[streamHeader+size:streamHeader+size+signed])
	text, err := public(key(t, 1)).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "key.pub", text)
}

func TestSignaturesOfAnotherKeyAreNamed(t *testing.T) {
	b := sealed(t, tiny(), key(t, 1))
	_, _, err := Read(bytes.NewReader(b), public(key(t, 2)))
	want := KeyError{Signed: public(key(t, 1)).ID(), Wanted: public(key(t, 2)).ID()}
	if got, ok := errors.AsType[KeyError](err); !ok || got != want {
		t.Errorf("got %v, want %v", err, want)
	}
	b[streamHeader+10] ^= 1 // of the manifest
	_, _, err = Read(bytes.NewReader(b), public(key(t, 1)))
	if _, ok := errors.AsType[KeyError](err); err == nil || ok {
		t.Errorf("got %v for a changed file, want that it is to be copied again", err)
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
			if _, err := DecodeManifest([]byte(text)); err == nil {
				t.Error("got no error")
			}
		})
	}
}

// FuzzStream: of any file, only what was signed is accepted, and only as the
// manifest describes it.
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
		m, _, err := Read(in, public(private))
		if err != nil {
			return
		}
		if err := m.Each(in, func(int, int64, []byte) error { return nil }); err == nil && !bytes.Equal(file, whole) {
			t.Errorf("an unsigned file was accepted: %q", file)
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
		m, err := DecodeManifest(text)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			return // names that take more room when they are escaped
		}
		back, err := DecodeManifest(again)
		third, _ := back.Encode()
		if err != nil || !bytes.Equal(again, third) {
			t.Errorf("got %s, %v; want %s", third, err, again)
		}
	})
}
