package storage

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// memory is a card in memory that counts what is written.
type memory struct {
	content []byte
	writes  []int64 // where
	lengths []int
	broken  bool // keeps nothing
}

func (m *memory) ReadAt(b []byte, at int64) (int, error) { return copy(b, m.content[at:]), nil }
func (m *memory) Sync() error                            { return nil }
func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	m.writes, m.lengths = append(m.writes, at), append(m.lengths, len(b))
	if m.broken {
		return len(b), nil
	}
	return copy(m.content[at:], b), nil
}

const mega = 1 << 20

// newCard is the beginning of a card with one of our images.
func newCard() *memory {
	m := &memory{content: make([]byte, attemptsAt+sectorSize)}
	le := binary.LittleEndian
	le.PutUint32(m.content[440:], 0x12345678)
	le.PutUint16(m.content[510:], 0xAA55)
	for i, p := range []struct {
		kind        byte
		start, size uint32
	}{{0x0C, 4, 256}, {0x83, 260, 64}, {0x83, 324, 64}, {0x83, 388, 124}} {
		e := m.content[entryAt+entrySize*i:]
		e[4] = p.kind
		le.PutUint32(e[8:], p.start*mega/sectorSize)
		le.PutUint32(e[12:], p.size*mega/sectorSize)
	}
	return m
}

func TestDataPartitionReachesTheCardsEnd(t *testing.T) {
	for _, tt := range []struct {
		name      string
		card      int64 // bytes
		want      int64 // of the partition, in MiB
		untouched bool
	}{
		{"a card as large as the image", 512 * mega, 124, true},
		{"a card that is smaller", 256 * mega, 124, true},
		{"less than 4 MiB to gain", 515 * mega, 124, true},
		{"8 GB", 7_969_177_600, 7212, false},
		{"32 GB", 31_914_983_424, 30048, false},
		{"2 TiB, which a table cannot name", 2048 * 1024 * mega, 2048*1024 - 388 - 1, false},
		{"4 TiB", 4096 * 1024 * mega, 2048*1024 - 388 - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newCard()
			was := bytes.Clone(m.content)
			before, after, err := enlarge(m, tt.card)
			if err != nil || after.start != before.start || after.size*sectorSize/mega != tt.want {
				t.Fatalf("got %+v, %v; want %d MiB", after, err, tt.want)
			}
			if end := after.end() * sectorSize; !tt.untouched && end > tt.card {
				t.Errorf("ends at %d of %d bytes", end, tt.card)
			}
			if tt.untouched != (len(m.writes) == 0) {
				t.Errorf("got %d writes", len(m.writes))
			}
			for i := range m.writes { // a power cut leaves a sector as it was or as it is
				if m.writes[i] != 0 || m.lengths[i] != sectorSize || len(m.writes) > 1 {
					t.Errorf("wrote %d bytes at %d, want one sector at 0", m.lengths[i], m.writes[i])
				}
			}
			copy(was[entryAt+3*entrySize+12:], m.content[entryAt+3*entrySize+12:entryAt+4*entrySize])
			if !bytes.Equal(m.content, was) {
				t.Error("more was changed than the size of partition 4")
			}
			if _, again, err := enlarge(m, tt.card); err != nil || again != after {
				t.Errorf("again: got %+v, %v; want %+v", again, err, after)
			}
		})
	}
}

func TestOtherTablesAreLeftAlone(t *testing.T) {
	for name, change := range map[string]func(sector []byte){
		"no table":               func(s []byte) { s[510] = 0 },
		"no fourth partition":    func(s []byte) { clear(s[entryAt+3*entrySize : 510]) },
		"not in this order":      func(s []byte) { s[entryAt+3*entrySize+10] = 0; s[entryAt+3*entrySize+8] = 1 },
		"partitions overlap":     func(s []byte) { s[entryAt+2*entrySize+15] = 0x10 },
		"a fourth of other kind": func(s []byte) { s[entryAt+3*entrySize+4] = 0x05 },
	} {
		t.Run(name, func(t *testing.T) {
			m := newCard()
			change(m.content[:sectorSize])
			if _, _, err := enlarge(m, 32<<30); err == nil || len(m.writes) > 0 {
				t.Errorf("got %v and %d writes, want an error and none", err, len(m.writes))
			}
		})
	}
}

func TestACardThatKeepsNothingIsNoticed(t *testing.T) {
	m := newCard()
	m.broken = true
	if before, after, err := enlarge(m, 32<<30); err == nil || before != after {
		t.Errorf("got %+v, %v; want an error", after, err)
	}
}

func TestAttempts(t *testing.T) {
	m := newCard()
	if n := readAttempts(m); n != 0 {
		t.Errorf("a new card: got %d, want 0", n)
	}
	if err := writeAttempts(m, 1); err != nil {
		t.Fatal(err)
	}
	if n := readAttempts(m); n != 1 {
		t.Errorf("got %d, want 1", n)
	}
	const golden = "HGD1\x00\x00\x00\x01"
	if got := m.content[attemptsAt:][:8]; string(got) != golden {
		t.Errorf("got %q, want %q", got, golden)
	}
	m.content[attemptsAt+100] = 1
	if n := readAttempts(m); n != 0 {
		t.Errorf("a damaged sector: got %d, want 0", n)
	}
	for _, at := range m.writes {
		if at%mega == 0 && (at == 1*mega || at == 2*mega) {
			t.Errorf("wrote at %d, where the record of updates is", at)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(newCard().content[:sectorSize], int64(32<<30))
	f.Fuzz(func(t *testing.T, sector []byte, size int64) {
		m := newCard()
		clear(m.content[:sectorSize])
		copy(m.content[:sectorSize], sector)
		before, after, err := enlarge(m, size)
		if err == nil && (after.start != before.start || after.size < before.size ||
			after != before && after.end() > size/sectorSize) {
			t.Errorf("%+v became %+v on a card of %d bytes", before, after, size)
		}
	})
}
