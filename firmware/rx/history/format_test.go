package history

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden is a generation with a step in milliseconds, one in ticks, a late change, a longer value, a
// repeated one at another time, and an event.
func golden() *generation {
	g := newGeneration(0x0102)
	for _, c := range []struct {
		key   string
		ticks int64
		value string
	}{
		{"vns=2;s=a", 134_000_000_000_000_000, "\x01\x0b\x00\x00\x00\x00\x00\x80\x45\x40"},
		{"vns=2;s=a", 134_000_000_010_000_000, "\x01\x0b\x00\x00\x00\x00\x00\x90\x45\x40"},
		{"vns=2;s=b", 134_000_000_010_000_001, "\x01\x01\x01"},
		{"vns=2;s=a", 134_000_000_020_000_003, "\x01\x0b\x00\x00\x00\x00\x00\x90\x45\x40"},
		{"vns=2;s=a", 133_999_999_990_000_000, "\x01\x0c\x02\x00\x00\x00ok"},
		{"e", 134_000_000_000_000_000, "an event"},
	} {
		g.add([]byte(c.key), c.ticks, []byte(c.value))
	}
	return g
}

// expectGolden compares with hexadecimal digits in testdata, in lines of up to 32 bytes.
func expectGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%x", name, hex.EncodeToString(got), want)
	}
}

func TestTheFormatsAreWhatTheyWere(t *testing.T) {
	p, err := newPacker()
	if err != nil {
		t.Fatal(err)
	}
	g := golden()
	j := journal{path: filepath.Join(t.TempDir(), "journal"), generation: g.number}
	if err := j.write(p, g.pending); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	j.close()
	expectGolden(t, "journal", b[:j.end])
	var segment bytes.Buffer
	if _, err := writeSegment(&segment, p, g, 134_000_000_030_000_000); err != nil {
		t.Fatal(err)
	}
	expectGolden(t, "segment", segment.Bytes())
}

// FuzzEntries: entries that are read are written the same again, but for forms that are not the shortest.
func FuzzEntries(f *testing.F) {
	for _, s := range golden().streams {
		f.Add(s.entries)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again coder
		var written []byte
		var want []change
		for ok := true; len(b) > 0; {
			if b, ok = c.next(b); !ok {
				break
			}
			if c.ticks < 0 || c.ticks > endOfTime || len(c.value) > maxValue {
				t.Fatalf("time %d, %d bytes", c.ticks, len(c.value))
			}
			want = append(want, change{c.ticks, bytes.Clone(c.value)})
			written = again.append(written, c.ticks, c.value)
		}
		got := decode(written, len(want), span{0, endOfTime})
		if len(got) != len(want) {
			t.Fatalf("%d changes, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i].ticks != want[i].ticks || !bytes.Equal(got[i].value, want[i].value) {
				t.Fatalf("change %d: got %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// FuzzSegment reads a file that is anything: no panic, and no more than the file can hold.
func FuzzSegment(f *testing.F) {
	p, err := newPacker()
	if err != nil {
		f.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := writeSegment(&whole, p, golden(), 134_000_000_030_000_000); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	all := span{0, endOfTime}
	f.Fuzz(func(t *testing.T, b []byte) {
		if runs, err := runs(b, "vns=2;s=a", all); err == nil {
			for _, r := range runs {
				decode(r.entries, r.count, all)
			}
		}
		r := bytes.NewReader(b)
		s, err := readTrailer(r, int64(len(b)))
		if err != nil {
			s = &segment{size: int64(len(b))}
		}
		chunks, err := s.chunks(r, "vns=2;s=a", all)
		if err != nil {
			chunks, _ = parseIndex(b, int64(len(b)))
		}
		for _, c := range chunks {
			if unpacked, err := c.read(r, p); err == nil && len(unpacked) > maxChunk {
				t.Fatalf("a chunk of %d bytes", len(unpacked))
			}
		}
	})
}

// FuzzJournal replays a record that is anything; what is taken is within bounds.
func FuzzJournal(f *testing.F) {
	f.Add(golden().pending)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, numbered := newGeneration(1), []*stream(nil)
		g.replay(&numbered, b)
		if g.changes > uint64(len(b)) || len(g.streams) > len(b) {
			t.Fatalf("%d changes in %d bytes", g.changes, len(b))
		}
		n := uint64(0)
		for _, s := range g.streams {
			n += uint64(len(decode(s.entries, s.coder.count, span{0, endOfTime})))
		}
		if n != g.changes {
			t.Fatalf("%d changes can be read of %d", n, g.changes)
		}
	})
}
