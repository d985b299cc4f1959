package image

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image/filesystem"
)

// Where the small images of these tests have their boot partition.
const (
	tinyStart = 1 << 20
	tinySize  = 40 << 20
)

// tiny makes the beginning of an image, with a configuration of these files.
func tiny(t testing.TB, files Content) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "tiny.img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	head := make([]byte, sectorSize)
	head[446+4] = 0x0C
	binary.LittleEndian.PutUint32(head[446+8:], tinyStart/sectorSize)
	binary.LittleEndian.PutUint32(head[446+12:], tinySize/sectorSize)
	copy(head[510:], "\x55\xAA")
	root := filesystem.Tree()
	root.Add("config.txt", 0o444, []byte("arm_64bit=1\n"))
	for path, b := range files {
		root.Add(home+"/"+path, 0o400, b)
	}
	if err := f.Truncate(tinyStart + tinySize); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if err := filesystem.WriteFAT(f, tinyStart, tinySize, root); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDifferenceNamesTheFile(t *testing.T) {
	a := Content{"a": []byte("1"), "b": []byte("2")}
	for name, c := range map[string]struct {
		other Content
		want  string
	}{
		"the same":  {Content{"a": []byte("1"), "b": []byte("2")}, ""},
		"another":   {Content{"a": []byte("1"), "b": []byte("3")}, "b"},
		"one less":  {Content{"b": []byte("2")}, "a"},
		"one more":  {Content{"a": []byte("1"), "b": []byte("2"), "c": nil}, "c"},
		"none left": {nil, "a"},
	} {
		if got := a.Difference(c.other); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// FuzzImage reads images whose first sector and boot sector anybody wrote.
func FuzzImage(f *testing.F) {
	card := tiny(f, Content{"heliograph.toml": []byte("pair"), "pair.key": []byte("key")})
	first, boot := make([]byte, sectorSize), make([]byte, sectorSize)
	for at, b := range map[int64][]byte{0: first, tinyStart: boot} {
		if _, err := card.ReadAt(b, at); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(first, boot)
	f.Fuzz(func(t *testing.T, first, boot []byte) {
		for at, part := range map[int64][]byte{0: first, tinyStart: boot} {
			if _, err := card.WriteAt(part[:min(sectorSize, len(part))], at); err != nil {
				t.Fatal(err)
			}
		}
		c, err := ReadContent(card)
		if len(c) > mostFiles || c.size() > mostBytes || err != nil && c != nil {
			t.Errorf("got %d files with %d bytes and %v, want no more than %d and %d, or an error", len(c), c.size(),
				err, mostFiles, mostBytes)
		}
	})
}

func TestContentIsCheckedForItsRoleAndBoard(t *testing.T) {
	key := pairkey.Format([pairkey.Size]byte{1})
	content := func(link string) Content {
		return Content{"pair.key": key, "network.toml": []byte("interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"),
			"heliograph.toml": []byte("pair = \"p\"\n[link]\nkey_file = \"pair.key\"\n" + link +
				"[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n")}
	}
	b, _ := boards.ByName("rpi4b")
	for name, c := range map[string]struct {
		role  string
		board boards.Board
		link  string
		want  string
	}{
		"the board supplies the port": {"tx", b, "medium = \"uart\"\n", ""},
		"any board":                   {"", boards.Board{}, "medium = \"uart\"\n", "device is missing"},
		"the console": {"tx", b, "medium = \"uart\"\ndevice = \"/dev/ttyAMA3\"\n",
			"heliograph.toml:5: device"},
		"the plant's interface": {"", b, "medium = \"ethernet\"\ninterface = \"eth0\"\n",
			"heliograph.toml:5: interface"},
		"the other role's": {"rx", b, "medium = \"uart\"\n",
			"heliograph.toml: this is heliotx's file; name heliorx's"},
	} {
		t.Run(name, func(t *testing.T) {
			err := content(c.link).Check(c.role, c.board)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
