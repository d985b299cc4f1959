package update

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"testing"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
	"heliograph/tools/image/filesystem"
)

const (
	page     = 4096
	testBoot = 4 << 20
	bootSize = 40 << 20
	slotSize = 256 << 10
	diskSize = 48 << 20
	testDisk = 0x12345678
)

// memory is a disk in memory that remembers what was written, and when it was
// flushed. What is zero takes no room.
type memory struct {
	pages map[int64][]byte
	log   []step
}

// step is a write, or a flush where data is nil.
type step struct {
	at   int64
	data []byte
}

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	for n := 0; n < len(b); {
		from := (at + int64(n)) % page
		count := min(len(b)-n, int(page-from))
		if p := m.pages[(at+int64(n))/page]; p != nil {
			copy(b[n:n+count], p[from:])
		} else {
			clear(b[n : n+count])
		}
		n += count
	}
	if at+int64(len(b)) > diskSize {
		return 0, io.EOF
	}
	return len(b), nil
}

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	m.log = append(m.log, step{at, append([]byte{}, b...)})
	m.put(b, at)
	return len(b), nil
}

// put changes pages that other copies of the disk may share.
func (m *memory) put(b []byte, at int64) {
	for n := 0; n < len(b); {
		number, from := (at+int64(n))/page, (at+int64(n))%page
		p := make([]byte, page)
		copy(p, m.pages[number])
		n += copy(p[from:], b[n:])
		m.pages[number] = p
	}
}

func (m *memory) Sync() error {
	m.log = append(m.log, step{})
	return nil
}

func (m *memory) clone() *memory { return &memory{pages: maps.Clone(m.pages)} }

// release is what a set can hold. Its initramfs is the description of its root,
// which is all that a model of one needs.
type sample struct {
	m        release.Manifest
	contents [][]byte
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func newRelease(version uint64) sample {
	root := noise(version, 12_000+int(version)*1000)
	initramfs, err := json.Marshal(release.PartOf("root", root))
	if err != nil {
		panic(err)
	}
	kernel, tree := noise(version+100, 5000-int(version)*100), noise(version+200, 700)
	return sample{
		release.Manifest{Role: "tx", Board: "virt", Version: version, Name: fmt.Sprint("v", version),
			Arguments: "quiet", Files: []release.Part{
				release.PartOf("initramfs", initramfs), release.PartOf("overlays/uart.dtbo", tree),
				release.PartOf("vmlinuz", kernel),
			}, Root: release.PartOf("root", root)},
		[][]byte{initramfs, tree, kernel, root},
	}
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

// newCard makes a card with a release in set a.
func newCard(t *testing.T, r sample) *memory {
	t.Helper()
	text, err := r.m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	root := filesystem.Tree()
	for _, set := range []Set{A, B} {
		whole := map[string][]byte{ManifestFile: padded(text), ArgumentFile: CommandLine(r.m.Arguments, testDisk, set)}
		for i, p := range r.m.Files {
			whole[p.Name] = append(bytes.Clone(r.contents[i]), make([]byte, 6000-p.Size)...)
		}
		for name, content := range whole {
			if set == B {
				clear(content)
			}
			root.Add(set.folder()+name, 0o444, content)
		}
	}
	root.Add("config.txt", 0o444, []byte("arm_64bit=1\nos_prefix=a/\nkernel=vmlinuz\n"))
	root.Add("tryboot.txt", 0o444, []byte("arm_64bit=1\nos_prefix=b/\nkernel=vmlinuz\n"))
	m := &memory{pages: map[int64][]byte{}}
	if err := filesystem.WriteFAT(m, testBoot, bootSize, root); err != nil {
		t.Fatal(err)
	}
	table := make([]byte, sectorSize)
	le := binary.LittleEndian
	le.PutUint32(table[440:], testDisk)
	for i, p := range []extent{{testBoot, bootSize}, {testBoot + bootSize, slotSize},
		{testBoot + bootSize + slotSize, slotSize}} {
		le.PutUint32(table[446+16*i+8:], uint32(p.at/sectorSize))
		le.PutUint32(table[446+16*i+12:], uint32(p.size/sectorSize))
	}
	le.PutUint16(table[510:], 0xAA55)
	m.put(table, 0)
	m.put(r.contents[len(r.contents)-1], testBoot+bootSize)
	m.log = nil
	return m
}

func open(t *testing.T, d Disk, running Set) *Card {
	t.Helper()
	c, err := Open(d, running)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
