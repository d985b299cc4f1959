package pairkey

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden was computed with Python: base64.urlsafe_b64encode, hashlib.sha256.
const golden = "heliograph-pair-key-1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 ceedd16e\n"

func counting() (key [Size]byte) {
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestFormatIsGolden(t *testing.T) {
	if got := string(Format(counting())); got != golden {
		t.Errorf("got  %q\nwant %q", got, golden)
	}
}

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pair.key")
	want := New()
	if err := Create(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || got != want {
		t.Fatalf("got %x, %v; want %x", got, err, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := Create(path, New()); !errors.Is(err, os.ErrExist) {
		t.Errorf("overwriting: got %v, want os.ErrExist", err)
	}
	if again, _ := Read(path); again != want {
		t.Errorf("the refused overwrite changed the file")
	}
}

func TestNewKeysDiffer(t *testing.T) {
	if one, other := New(), New(); one == other {
		t.Error("two keys are equal")
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]string{
		"empty":              "",
		"other format":       strings.Replace(golden, "key-1", "key-2", 1),
		"one letter changed": strings.Replace(golden, "AAEC", "AAED", 1),
		"short key":          "heliograph-pair-key-1 AAEC 00000000",
		"check left out":     strings.Join(strings.Fields(golden)[:2], " "),
		"a word too many":    strings.TrimSpace(golden) + " x",
		"padding bits set":   strings.Replace(golden, "Hh8 ", "Hh9 ", 1),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			if key, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %x, %v; want ErrMalformed", key, err)
			}
		})
	}
}

func TestReadOfAMissingFile(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

// A key that parses formats to the same text, except for white space.
func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("heliograph-pair-key-1  x y"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := Parse(text)
		if err != nil {
			return
		}
		got, want := Format(key), bytes.Join(bytes.Fields(text), []byte(" "))
		if !bytes.Equal(bytes.TrimSpace(got), want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
