package packed

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func written(t testing.TB, b []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t testing.TB, f *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnpackGivesTheSameFromPlainAndPacked(t *testing.T) {
	want := make([]byte, 3*chunk+7) // holes, and an end within a chunk
	copy(want[chunk:], "something")
	want[len(want)-1] = 1
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, give := range map[string][]byte{"plain": want, "zstd": e.EncodeAll(want, nil)} {
		t.Run(name, func(t *testing.T) {
			to := written(t, nil)
			if err := Unpack(to, written(t, give)); err != nil {
				t.Fatal(err)
			}
			if got := content(t, to); !bytes.Equal(got, want) {
				t.Errorf("got %d bytes that differ, want %d", len(got), len(want))
			}
		})
	}
}

// FuzzUnpack looks for a file that makes Unpack fail without an error, or write more than
// the bound.
func FuzzUnpack(f *testing.F) {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, []byte("plain"), e.EncodeAll([]byte("packed"), nil), []byte("\x1F\x8B\x08"),
		[]byte("PK\x03\x04")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		to := written(t, nil)
		err := Unpack(to, written(t, b))
		if info, _ := to.Stat(); info.Size() > MaxSize {
			t.Errorf("got %d bytes and %v, want at most %d", info.Size(), err, MaxSize)
		}
	})
}
