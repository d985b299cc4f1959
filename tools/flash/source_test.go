package flash

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"heliograph/tools/image/packed"
)

// spoiled changes an image on its way.
func spoiled(t *testing.T, change func(b []byte) []byte) string {
	t.Helper()
	name := tiny(t, configured())
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func flipped(what string) func([]byte) []byte {
	return func(b []byte) []byte {
		b[bytes.LastIndex(b, []byte(what))] ^= 1
		return b
	}
}

func TestDamagedImagesAreRefusedBeforeWriting(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"cut in its data": {func(b []byte) []byte { return b[:len(b)-sector] },
			"in its partition 4, which reaches to"},
		"cut in its root":        {func(b []byte) []byte { return b[:tinySlot+sector] }, "in its partition 2"},
		"cut in a sector":        {func(b []byte) []byte { return b[:len(b)-1] }, "cut short"},
		"more than whole":        {func(b []byte) []byte { return append(b, 0) }, "not whole sectors"},
		"flipped bit in root":    {flipped("the root filesystem"), "root is damaged"},
		"flipped bit in a file":  {flipped("kernel"), "vmlinuz is damaged"},
		"flipped bit, arguments": {flipped("root=PARTUUID="), "is damaged"},
		"flipped bit, manifest":  {flipped(`"board"`), "it is damaged"},
		"partition too soon": {func(b []byte) []byte { b[446+16+8] = 0; b[446+16+9] = 0; return b },
			"partition 2 is not where"},
	} {
		t.Run(name, func(t *testing.T) {
			card := filepath.Join(folder(t), "card")
			if err := os.WriteFile(card, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := writer(t, &out).Card(t.Context(), spoiled(t, c.change), card)
			if !contains(err, c.want) {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
			if got := read(t, card); got != "old" {
				t.Errorf("got %d bytes written all the same", len(got))
			}
		})
	}
}

func TestChecksumBesideAnImage(t *testing.T) {
	name := tiny(t, configured())
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, name))))
	wrong := strings.Repeat("0", 64)
	for title, c := range map[string]struct{ file, text, want, said string }{
		"its own":           {"tiny.img.sha256", sum + "  tiny.img\n", "", "is what"},
		"its own, bare":     {"tiny.img.sha256", strings.ToUpper(sum), "", "is what"},
		"a list":            {"SHA256SUMS", wrong + "  other.img\n" + sum + " *tiny.img\n", "", "is what"},
		"a list above":      {"../SHA256SUMS", sum + "  images/tiny.img\n", "", "is what"},
		"another":           {"tiny.img.sha256", wrong + "  tiny.img\n", "SHA-256 is " + sum[:12], ""},
		"another, listed":   {"SHA256SUMS", wrong + "  tiny.img\n", "SHA-256 is " + sum[:12], ""},
		"not in the list":   {"SHA256SUMS", wrong + "  other.img\n", "", ""},
		"damaged":           {"tiny.img.sha256", "no such page", "where its SHA-256 should be", ""},
		"larger than lists": {"SHA256SUMS", strings.Repeat("#\n", 1<<20), "is larger than 1 MiB", ""},
	} {
		t.Run(title, func(t *testing.T) {
			at := filepath.Join(filepath.Dir(name), c.file)
			if err := os.WriteFile(at, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(at)
			said := ""
			s, err := openSource(name, func(format string, a ...any) { said = fmt.Sprintf(format, a...) })
			if err == nil {
				s.close()
			}
			if c.want == "" && err != nil || c.want != "" && !contains(err, c.want) || !strings.Contains(said, c.said) {
				t.Errorf("got %v and %q, want %q and %q", err, said, c.want, c.said)
			}
		})
	}
}

func TestPackedImages(t *testing.T) {
	whole := []byte(read(t, tiny(t, configured())))
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	_, _ = z.Write(whole)
	z.Close()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zst := e.EncodeAll(whole, nil)
	bomb := e.EncodeAll(make([]byte, 64<<20), nil)
	for name, c := range map[string]struct {
		give []byte
		want string
	}{
		"zstd":          {zst, ""},
		"gzip":          {gz.Bytes(), ""},
		"cut zstd":      {zst[:len(zst)/2], "it is damaged (zstd"},
		"cut gzip":      {gz.Bytes()[:gz.Len()-9], "it is damaged (gzip"},
		"flipped zstd":  {flip(zst), "damaged"},
		"flipped gzip":  {flip(gz.Bytes()), "damaged"},
		"too much":      {bytes.Repeat(bomb, packed.MaxSize>>26+1), "it holds more than"},
		"xz":            {[]byte("\xFD7zXZ\x00 and so on"), "it is packed with xz: unpack it first"},
		"zip":           {[]byte("PK\x03\x04 and so on"), "it is packed with zip: unpack it first"},
		"none of these": {[]byte("something else"), "not an image of a heliograph board"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", folder(t))
			file := filepath.Join(folder(t), "packed")
			if err := os.WriteFile(file, c.give, 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			card := filepath.Join(folder(t), "card")
			err := writer(t, &out).Card(t.Context(), file, card)
			if c.want == "" && !contains(writer(t, &out).Card(t.Context(), file, file), "is the image itself") {
				t.Error("got the packed image overwritten")
			}
			if c.want == "" && err != nil || c.want != "" && !contains(err, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c.want == "" && read(t, card) != string(whole) {
				t.Error("got another image on the card")
			}
			if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
				t.Errorf("got %v left", left)
			}
		})
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-2] ^= 0x10
	return b
}
