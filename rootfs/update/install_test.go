package update

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
)

func sealed(t *testing.T, r sample, k minisign.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := release.Seal(&b, r.m, k, r.contents...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writes(m *memory) int {
	n := 0
	for _, s := range m.log {
		if s.data != nil {
			n++
		}
	}
	return n
}

func TestInstallRefusesWithoutWriting(t *testing.T) {
	good, other := key(t, 1), key(t, 2)
	changed := func(change func(r *sample)) []byte {
		r := newRelease(2)
		change(&r)
		return sealed(t, r, good)
	}
	whole := sealed(t, newRelease(2), good)
	flipped := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		file    []byte
		running Set
		want    string
	}{
		"empty file": {nil, A, "not an update file"},
		"another file": {[]byte("PK\x03\x04 something else that is long enough"), A,
			"not an update file"},
		"lengths beyond any sense": {append([]byte("HGUPDAT1"), bytes.Repeat([]byte{0xFF}, 64)...), A,
			"a manifest of"},
		"cut in the manifest":           {whole[:100], A, "ends in its manifest"},
		"cut in a part":                 {whole[:len(whole)-1], A, "ends in root"},
		"one byte too many":             {append(bytes.Clone(whole), 0), A, "something follows"},
		"a bit of the manifest changed": {flipped(16 + 20), A, "signature"},
		"a bit of a part changed":       {flipped(len(whole) - 1000), A, "root is not what was signed"},
		"another key":                   {sealed(t, newRelease(2), other), A, "is signed with key"},
		"minisign's older algorithm":    {legacy(t, newRelease(2), good), A, "signature"},
		"another role":                  {changed(func(r *sample) { r.m.Role = "rx" }), A, "for rx on virt"},
		"another board":                 {changed(func(r *sample) { r.m.Board = "cm4" }), A, "for tx on cm4"},
		"an older version":              {sealed(t, newRelease(1), good), A, "has had 2"},
		"a file too large":              {sealed(t, larger(newRelease(2), 2, 30_000), good), A, "for vmlinuz"},
		"a root too large":              {sealed(t, larger(newRelease(2), 3, slotSize+1), good), A, "root slot has"},
		"a file that the card lacks": {changed(func(r *sample) { r.m.Files[1].Name = "overlays/vart.dtbo" }), A,
			"overlays/vart.dtbo"},
		"a file less": {changed(func(r *sample) {
			r.m.Files, r.contents = r.m.Files[1:], r.contents[1:]
		}), A, "other files"},
		"from a set on trial": {whole, B, "still on trial"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newCard(t, newRelease(1))
			card := open(t, d, c.running)
			card.record.floor = 0
			if name == "an older version" {
				card.record.floor = 2
			}
			_, err := card.Install(bytes.NewReader(c.file), public(good), Target{"tx", "virt"})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
			if n := writes(d); n != 0 {
				t.Errorf("got %d writes to the card, want none", n)
			}
		})
	}
}

// legacy signs the manifest's bytes, not their hash.
func legacy(t *testing.T, r sample, k minisign.PrivateKey) []byte {
	t.Helper()
	b := sealed(t, r, k)
	size, signed := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	text, parts := b[16:16+size], b[16+size+signed:]
	signature, err := k.Sign(nil, text, crypto.Hash(0))
	if err != nil || !minisign.Verify(public(k), text, signature) {
		t.Fatalf("the library does not take the older kind itself: %v", err)
	}
	head := binary.BigEndian.AppendUint32(bytes.Clone(b[:12]), uint32(len(signature)))
	return bytes.Join([][]byte{head, text, signature, parts}, nil)
}

func larger(r sample, part, size int) sample {
	r.contents[part] = make([]byte, size)
	if part < len(r.m.Files) {
		r.m.Files[part] = release.PartOf(r.m.Files[part].Name, r.contents[part])
	} else {
		r.m.Root = release.PartOf("root", r.contents[part])
	}
	return r
}

// turncoat gives other bytes when it is read for the second time.
type turncoat struct {
	first, second *bytes.Reader
	seeks         int
}

func (f *turncoat) Read(b []byte) (int, error) {
	if f.seeks > 2 { // to the beginning, where it is, back to the parts
		return f.second.Read(b)
	}
	return f.first.Read(b)
}

func (f *turncoat) Seek(at int64, from int) (int64, error) {
	f.seeks++
	_, _ = f.second.Seek(at, from)
	return f.first.Seek(at, from)
}

func TestInstallNoticesAFileThatChangesBetweenItsPasses(t *testing.T) {
	k := key(t, 1)
	good := sealed(t, newRelease(2), k)
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	for name, second := range map[string][]byte{"a part": bad, "all of it": sealed(t, newRelease(3), k),
		"its length": good[:len(good)-5000]} {
		t.Run(name, func(t *testing.T) {
			d := updated(t)
			_, err := open(t, d, A).Install(&turncoat{first: bytes.NewReader(good), second: bytes.NewReader(second)},
				public(k), Target{"tx", "virt"})
			if got := open(t, d, A).record.pending; err == nil || got != 0 {
				t.Errorf("got %v and version %d pending, want an error and none", err, got)
			}
		})
	}
}

// worn is a disk that keeps one bit wrong.
type worn struct {
	*memory
	at int64
}

func (w worn) WriteAt(b []byte, at int64) (int, error) {
	b = bytes.Clone(b)
	if w.at >= at && w.at < at+int64(len(b)) {
		b[w.at-at] ^= 1
	}
	return w.memory.WriteAt(b, at)
}

func TestInstallReadsBackWhatItWrote(t *testing.T) {
	k := key(t, 1)
	d := newCard(t, newRelease(1))
	w := worn{d, testBoot + bootSize + slotSize + 1000}
	c := open(t, w, A)
	_, err := c.Install(bytes.NewReader(sealed(t, newRelease(2), k)), public(k), Target{"tx", "virt"})
	if err == nil || !strings.Contains(err.Error(), "replace it") || c.record.pending != 0 {
		t.Errorf("got %v and version %d pending, want advice and none", err, c.record.pending)
	}
}

// full fails after a number of writes.
type full struct {
	*memory
	left int
}

func (f *full) WriteAt(b []byte, at int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("input/output error")
	}
	return f.memory.WriteAt(b, at)
}

func TestInstallThatFailsAnywhereLeavesTheOldRelease(t *testing.T) {
	k := key(t, 1)
	file := sealed(t, newRelease(2), k)
	before := newCard(t, newRelease(1))
	for n := 0; ; n++ {
		f := &full{before.clone(), n}
		_, err := open(t, f, A).Install(bytes.NewReader(file), public(k), Target{"tx", "virt"})
		if err == nil {
			break
		}
		b := board{disk: f.memory, sound: always}
		if got, err := b.start(); got != 1 || err != nil {
			t.Fatalf("failing write %d: got version %d, %v; want 1", n, got, err)
		}
	}
}

func TestPaddingKeepsNothingOfALongerFile(t *testing.T) {
	k := key(t, 1)
	d := newCard(t, newRelease(1))
	for version := uint64(2); version < 5; version++ { // kernels get shorter
		r := newRelease(version)
		if _, err := open(t, d, 0).Install(bytes.NewReader(sealed(t, r, k)), public(k),
			Target{"tx", "virt"}); err != nil {
			t.Fatal(err)
		}
		c := open(t, d, 0)
		e, err := c.boot.find("b/vmlinuz")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(d, e.at, e.size))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.TrimRight(b, "\x00"); len(got) > len(r.contents[2]) {
			t.Errorf("version %d: got %d bytes before the padding, want at most %d", version, len(got),
				len(r.contents[2]))
		}
	}
}
