package spool

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPowerCutAtEveryByteOfASegment(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<20)
	for i := range 6 {
		q.Append(record(i, 9+i))
	}
	q.Close()
	content, err := os.ReadFile(segments(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(segments(t, dir)[0])
	for cut := range len(content) + 1 {
		for _, zeros := range []int{0, 50} {
			torn := t.TempDir()
			if err := os.WriteFile(filepath.Join(torn, name), append(content[:cut:cut], make([]byte, zeros)...),
				0o600); err != nil {
				t.Fatal(err)
			}
			q := open(t, torn, 1<<20)
			got := takeAll(t, q)
			wantRange(t, got, 0, len(got))
			if cut < len(content) && len(got) < 6 && q.Stats().Unknown == 0 && cut > headerSize && zeros > 0 {
				t.Errorf("cut at %d: %d records and no loss reported", cut, len(got))
			}
			q.Append(record(99, 10)) // goes on
			if next := takeAll(t, q); len(next) != 1 || next[0] != 99 {
				t.Errorf("cut at %d: then got %v, want 99", cut, next)
			}
			q.Close()
		}
	}
}

func FuzzSegment(f *testing.F) {
	valid := appendRecord(appendHeader(nil, 3), 3, entry{index: 3, data: []byte("x")})
	f.Add(valid)
	f.Add(appendTrailer(valid, 3, 3, 1))
	path := filepath.Join(f.TempDir(), "s"+suffix)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, complete, err := openSegment(path, 0)
		if err == nil && (s.size > int64(len(content)) || s.unread < 0 || int64(s.unread) > s.size || complete &&
			s.offset > s.size) {
			t.Errorf("got %+v of %d bytes", s, len(content))
		}
	})
}
