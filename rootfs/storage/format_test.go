package storage

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// blank returns a file of that many bytes, all zeros.
func blank(t *testing.T, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name
}

// fsck has e2fsck check a file.
func fsck(t *testing.T, name string) {
	t.Helper()
	check := "e2fsck"
	if _, err := exec.LookPath(check); err != nil {
		check = "/usr/sbin/e2fsck"
	}
	said, err := exec.Command(check, "-fn", name).CombinedOutput()
	if os.IsNotExist(err) {
		t.Skip("not proved: the data partition's format, because e2fsck is not installed")
	}
	if err != nil {
		t.Errorf("e2fsck: got %v, want none\n%s", err, said)
	}
}

func TestFormattedDevicePassesE2fsck(t *testing.T) {
	for name, tt := range map[string]struct{ size, blocks int64 }{
		"of the image":      {124 * mega, 124 * mega / blockSize},
		"of a large card":   {7212 * mega, mostFormatted / blockSize},
		"not of whole ones": {130*mega + 512, 130 * mega / blockSize},
	} {
		t.Run(name, func(t *testing.T) {
			device := blank(t, tt.size)
			if fresh, err := isNew(device); !fresh || err != nil {
				t.Errorf("before: got new %t, %v", fresh, err)
			}
			if err := format(device); err != nil {
				t.Fatal(err)
			}
			fsck(t, device)
			if fresh, err := isNew(device); fresh || err != nil {
				t.Errorf("after: got new %t, %v", fresh, err)
			}
			if got, err := readFilesystem(device); err != nil || got != (filesystem{blockSize, tt.blocks}) {
				t.Errorf("got %+v, %v; want %d blocks", got, err, tt.blocks)
			}
		})
	}
}

func TestWhatWasInUseIsNotNew(t *testing.T) {
	const size = 160 * mega
	for name, tt := range map[string]struct {
		change func(f *os.File) error
		fresh  bool
	}{
		"zeros":           {func(*os.File) error { return nil }, true},
		"erased flash":    {func(f *os.File) error { return fill(f, 0xFF) }, true},
		"other ones":      {func(f *os.File) error { return fill(f, 0xAA) }, false},
		"one byte":        {func(f *os.File) error { _, err := f.WriteAt([]byte{1}, beginning-1); return err }, false},
		"beginning wiped": {func(f *os.File) error { return wiped(f, size) }, false},
		"an image written over it": {func(f *os.File) error {
			if err := wiped(f, size); err != nil {
				return err
			}
			_, err := f.WriteAt([]byte(formatting), 0)
			return err
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			device := blank(t, size)
			f, err := os.OpenFile(device, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := tt.change(f); err != nil {
				t.Fatal(err)
			}
			if fresh, err := isNew(device); fresh != tt.fresh || err != nil {
				t.Errorf("got new %t, %v; want %t", fresh, err, tt.fresh)
			}
		})
	}
	if _, err := isNew(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a device that is away: got no error")
	}
	if _, err := isNew(blank(t, 4096)); err == nil {
		t.Error("a device that cannot be read: got no error")
	}
}

func fill(f *os.File, b byte) error {
	content := make([]byte, beginning)
	for i := range content {
		content[i] = b
	}
	_, err := f.WriteAt(content, 0)
	return err
}

// wiped is a filesystem whose beginning a worn card has lost.
func wiped(f *os.File, size int64) error {
	if err := formatFile(f, size); err != nil {
		return err
	}
	_, err := f.WriteAt(make([]byte, beginning), 0)
	return err
}

// recorder is a device whose writes are kept, to be replayed up to a power cut.
type recorder struct {
	*os.File
	writes []write
}

type write struct {
	at   int64
	data []byte // nil: a Sync
}

func (r *recorder) WriteAt(b []byte, at int64) (int, error) {
	r.writes = append(r.writes, write{at, append([]byte{}, b...)})
	return r.File.WriteAt(b, at)
}

func (r *recorder) Sync() error { r.writes = append(r.writes, write{}); return nil }

func TestAPowerCutWhileFormattingLeavesANewPartitionOrAWholeOne(t *testing.T) {
	const size = 24 * mega
	f, err := os.OpenFile(blank(t, size), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &recorder{File: f}
	if err := formatFile(r, size); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	whole := 0
	for cut := range len(r.writes) + 1 {
		device := blank(t, size)
		if err := replay(device, r.writes[:cut], random); err != nil {
			t.Fatal(err)
		}
		fresh, err := isNew(device)
		switch {
		case err != nil:
			t.Fatal(err)
		case !fresh:
			whole++
			fsck(t, device)
		}
	}
	if whole == 0 {
		t.Error("no cut left a whole filesystem")
	}
}

// replay writes what survives a power cut: all before the last Sync, and any of what
// came after it.
func replay(device string, writes []write, random *rand.Rand) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	synced := 0
	for i, w := range writes {
		if w.data == nil {
			synced = i
		}
	}
	for i, w := range writes {
		if w.data == nil || i > synced && random.IntN(2) == 0 {
			continue
		}
		if _, err := f.WriteAt(w.data, w.at); err != nil {
			return err
		}
	}
	return nil
}
