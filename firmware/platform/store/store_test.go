package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoldenFile(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.hex")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "epoch")
	if err := Write(path, []byte("epoch 7")); err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	if got := hex.EncodeToString(content); got != strings.TrimSpace(string(want)) {
		t.Errorf("file: got %s, want %s", got, want)
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	for _, size := range []int{0, 1, 11, 12, 13, 4096, 1 << 20, 3} {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d bytes, %v", size, len(got), err)
		}
	}
	info, _ := os.Stat(path)
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode: got %o, want 600", got)
	}
	if _, err := os.Stat(path + tempSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file is left: %v", err)
	}
}

func TestReplacedFileHasTheModeAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cert.pem")
	for _, mode := range []fs.FileMode{0o600, 0o644} {
		if err := ReplaceFile(path, mode, []byte(mode.String())); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		if err != nil || string(got) != mode.String() || info.Mode() != mode {
			t.Errorf("got %q, %v, mode %v, want %v", got, err, info.Mode(), mode)
		}
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("files left: %v, want the one", names)
	}
}

func TestReplacedSecretKeepsTheModeOfItsReaders(t *testing.T) {
	for name, c := range map[string]struct{ before, want fs.FileMode }{
		"new":             {0, 0o600},
		"owner alone":     {0o600, 0o600},
		"group reads":     {0o640, 0o640},
		"group writes":    {0o660, 0o640},
		"every user":      {0o644, 0o640},
		"no one writes":   {0o440, 0o440},
		"only group":      {0o040, 0o040},
		"set-group-ID on": {0o640 | fs.ModeSetgid, 0o640},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "users")
			if c.before != 0 {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, c.before); err != nil {
					t.Fatal(err)
				}
			}
			if err := ReplaceSecret(path, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != c.want || info.Size() != 1 {
				t.Errorf("got mode %v, %v; want %v", info.Mode(), err, c.want)
			}
		})
	}
}

func TestMissingAndDamagedDiffer(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		t.Errorf("missing: got %v, want fs.ErrNotExist", err)
	}
	path := filepath.Join(dir, "record")
	if err := Write(path, []byte("a record of some length")); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	refused := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); !errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %q, %v, want ErrCorrupt", name, got, err)
		}
	}
	for n := range whole {
		refused(fmt.Sprintf("cut at %d", n), whole[:n])
		for bit := range 8 {
			flipped := bytes.Clone(whole)
			flipped[n] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d flipped", bit, n), flipped)
		}
	}
	refused("a byte too many", append(bytes.Clone(whole), 0))
	if err := os.Truncate(path, headerSize+MaxRecord+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("file beyond the bound: got %v, want ErrCorrupt", err)
	}
	if _, err := Read(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("folder: got %v, want ErrCorrupt", err)
	}
}

func TestTooLargeRecordIsRefusedAndTheOldOneKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, make([]byte, MaxRecord+1)); err == nil {
		t.Error("got nil, want an error")
	}
	if got, err := Read(path); string(got) != "old" {
		t.Errorf("got %q, %v, want the old record", got, err)
	}
}

func TestFolderIsForThisUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := Folder(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(d)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, %v, want 0700", d, info.Mode(), err)
		}
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Folder(plain); err == nil {
		t.Error("a file in the place of the folder: got nil, want an error")
	}
}

// TestLockHelper is the second process of TestLockKeepsAnotherProcessOut.
func TestLockHelper(t *testing.T) {
	dir := os.Getenv("STORE_TEST_LOCK")
	if dir == "" {
		return
	}
	if _, err := Lock(dir); err != nil {
		fmt.Println("refused:", err)
	} else {
		fmt.Println("locked")
	}
}

func TestLockKeepsAnotherProcessOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	other := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLockHelper$")
		cmd.Env = append(os.Environ(), "STORE_TEST_LOCK="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := other()
	want := fmt.Sprintf("in use by process %d: give this one another [state] directory, or end that process",
		os.Getpid())
	if !strings.Contains(got, want) {
		t.Errorf("while held: got %q, want %q", got, want)
	}
	if _, err := Lock(dir); err == nil {
		t.Error("a second lock in this process: got nil, want an error")
	}
	release()
	if got := other(); !strings.Contains(got, "locked") {
		t.Errorf("after release: got %q, want locked", got)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after the other process ended: %v", err)
	}
	again()
}

func FuzzDecode(f *testing.F) {
	for _, record := range []string{"", "x", "a longer record"} {
		h := header([]byte(record))
		f.Add(append(h[:], record...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		record, err := decode(content)
		if err != nil {
			return
		}
		h := header(record)
		if again := append(h[:], record...); !bytes.Equal(again, content) {
			t.Errorf("encodes to %x, was %x", again, content)
		}
	})
}
