package update

import (
	"bytes"
	"encoding/binary"
	"testing"

	"heliograph/ci/golden"
	"heliograph/tools/image/filesystem"
)

func fixed() record {
	return record{sequence: 3, floor: 4, pending: 5, refused: 6, tries: 1, boots: 2, target: B, begun: 1, damaged: true}
}

func TestFormatsStayAsTheyAre(t *testing.T) {
	golden.Compare(t, "record.bin", fixed().encode())
	golden.Compare(t, "cmdline.txt", CommandLine("console=ttyS0,115200 quiet", 0x0badcafe, B))
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
