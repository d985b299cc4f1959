package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"heliograph/firmware/config"
)

// home is the folder of the boot partition that a role gets.
const home = "heliograph"

// Bounds on what an image may hold in its configuration.
const (
	sector    = 512
	mostBoot  = 2 << 30 // where its boot partition ends
	mostFiles = 256
	mostBytes = 4 << 20
)

// content is the files of an image's configuration by their paths below home.
type content map[string][]byte

var errForeign = errors.New("it is not an image of a heliograph board: make one with \"heliograph image\"")

// boot opens the boot partition of an image or of a card.
func boot(f *os.File, writable bool) (*fat32.FileSystem, error) {
	head := make([]byte, sector)
	if err := readAt(f, head, 0); err != nil {
		return nil, errForeign
	}
	entry := head[446:]
	start, length := int64(binary.LittleEndian.Uint32(entry[8:]))*sector,
		int64(binary.LittleEndian.Uint32(entry[12:]))*sector
	if string(head[510:]) != "\x55\xAA" || entry[4] != 0x0C || start == 0 || length == 0 || start+length > mostBoot {
		return nil, errForeign
	}
	volume := make([]byte, sector)
	if err := readAt(f, volume, start); err != nil || !ours(volume, length) {
		return nil, errForeign
	}
	v, err := fat32.Read(file.New(f, !writable), length, start, sector)
	if err != nil {
		return nil, fmt.Errorf("its boot partition: %v", err)
	}
	return v, nil
}

// ours says whether a boot sector describes a volume as package image writes it.
// The library checks none, and panics on some.
func ours(b []byte, length int64) bool {
	le := binary.LittleEndian
	const reserved, fats, root = 32, 2, 2
	perCluster, table := int64(b[13]), int64(le.Uint32(b[36:]))
	if string(b[71:82]) != "HELIOGRAPH " || le.Uint16(b[11:]) != sector || b[16] != fats ||
		le.Uint16(b[14:]) != reserved || le.Uint32(b[44:]) != root || int64(le.Uint32(b[32:]))*sector != length ||
		perCluster == 0 {
		return false
	}
	clusters := (length/sector - reserved - fats*table) / perCluster
	need := ((clusters+root)*4 + sector - 1) / sector
	return clusters > 0 && table >= need && table <= 2*need
}

// readContent reads the configuration in an image or on a card; an image without
// one has none.
func readContent(f *os.File) (content, error) {
	v, err := boot(f, false)
	if err != nil {
		return nil, err
	}
	c := content{}
	top, err := v.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("its boot partition: %v", err)
	}
	if !slices.ContainsFunc(top, func(d fs.DirEntry) bool { return d.Name() == home }) {
		return c, nil
	}
	total := 0
	err = fs.WalkDir(v, home, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(c) == mostFiles {
			return fmt.Errorf("more than %d files", mostFiles)
		}
		b, err := readFile(v, name)
		if total += len(b); total > mostBytes {
			return fmt.Errorf("more than %d bytes", mostBytes)
		}
		c[strings.TrimPrefix(name, home+"/")] = b
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("its configuration: %v", err)
	}
	return c, nil
}

// readFile reads a file in one go: where the library reads on, it reads beyond
// the end. It overlooks errors of the medium, too, which then show as other bytes.
func readFile(v fs.FS, name string) ([]byte, error) {
	f, err := v.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > mostBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", name, mostBytes)
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// addContent puts files into an image's configuration.
func addContent(f *os.File, c content) error {
	v, err := boot(f, true)
	if err != nil {
		return err
	}
	for name, b := range c {
		at := path.Join(home, name)
		if err := v.Mkdir(path.Dir(at)); err != nil {
			return fmt.Errorf("flash: writing %s: %v", name, err)
		}
		if err := writeFile(v, at, b); err != nil {
			return fmt.Errorf("flash: writing %s: %v", name, err)
		}
	}
	for _, at := range []int64{1, 7} { // go-diskfs leaves the count of free clusters as it was
		if err := writeAt(f, []byte{0xFF, 0xFF, 0xFF, 0xFF}, v.Start()+at*sector+488); err != nil {
			return fmt.Errorf("flash: %v", err)
		}
	}
	return f.Sync()
}

func writeFile(v *fat32.FileSystem, at string, b []byte) error {
	f, err := v.OpenFile(at, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Close()
}

// difference names the first file that two contents do not share, or "".
func (c content) difference(other content) string {
	names := slices.Concat(slices.Collect(maps.Keys(c)), slices.Collect(maps.Keys(other)))
	slices.Sort(names)
	for _, name := range names {
		mine, have := c[name]
		others, has := other[name]
		if have != has || !bytes.Equal(mine, others) {
			return name
		}
	}
	return ""
}

// check returns what is wrong with a configuration. An image does not name its
// role, so the one that finds less to say has read its own.
func (c content) check() error {
	if _, ok := c["heliograph.toml"]; !ok {
		return nil
	}
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.save(dir); err != nil {
		return err
	}
	at := filepath.Join(dir, "heliograph.toml")
	_, _, tx := config.LoadTX(at)
	_, _, rx := config.LoadRX(at)
	if tx == nil || rx == nil {
		return nil
	}
	a, b := faults(tx), faults(rx)
	if len(b) < len(a) {
		a = b
	}
	for i := range a {
		a[i].File = filepath.Base(a[i].File)
		a[i].Message = strings.ReplaceAll(a[i].Message, dir+"/", "")
	}
	return fmt.Errorf("its configuration has faults: correct them and make it again:\n%w", a)
}

// faults returns what a role says of a file; a file that it cannot read is not a fault.
func faults(err error) config.Faults {
	if list, ok := errors.AsType[config.Faults](err); ok {
		return list
	}
	return config.Faults{{File: "heliograph.toml", Line: 1, Message: err.Error()}}
}

func (c content) save(dir string) error {
	for name, b := range c {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("its configuration has a file %q", name)
		}
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(at, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
