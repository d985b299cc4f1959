package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/tools/image/filesystem"
	"heliograph/tools/settings"
)

// Bounds on what an image may hold in its configuration.
const (
	mostBoot  = 2 << 30 // where its boot partition ends
	mostFiles = 256
	mostBytes = 4 << 20
)

// Content is the files of an image's configuration by their paths below its folder.
type Content map[string][]byte

// Disk is an image or a card that is changed. What was written before a Sync that returned
// nil stays.
type Disk = filesystem.Disk

// ErrForeign says that something is not an image or a card of ours.
var ErrForeign = errors.New("it is not an image of a heliograph board: make one with \"heliograph image\"")

// openBoot opens the boot partition of an image or of a card. It reads no more than it
// needs to refuse a disk that is not ours.
func openBoot(r io.ReaderAt) (*filesystem.Volume, error) {
	head := make([]byte, sectorSize)
	if n, _ := r.ReadAt(head, 0); n < len(head) {
		return nil, ErrForeign
	}
	entry := head[446:]
	start, length := int64(binary.LittleEndian.Uint32(entry[8:]))*sectorSize,
		int64(binary.LittleEndian.Uint32(entry[12:]))*sectorSize
	if string(head[510:]) != "\x55\xAA" || entry[4] != 0x0C || start == 0 || length == 0 || start+length > mostBoot {
		return nil, ErrForeign
	}
	v, err := filesystem.OpenFAT(r, start, length)
	if err != nil || !v.Ours() {
		return nil, ErrForeign
	}
	return v, nil
}

// Foreign says whether something is not an image or a card of ours.
func Foreign(r io.ReaderAt) bool {
	_, err := openBoot(r)
	return errors.Is(err, ErrForeign)
}

// ReadContent reads the configuration in an image or on a card; one without a
// configuration has none. What systems and file managers leave in a folder is left out.
func ReadContent(r io.ReaderAt) (Content, error) {
	v, err := openBoot(r)
	if err != nil {
		return nil, err
	}
	c, err := v.Files(home, mostFiles, mostBytes, litter)
	if errors.Is(err, fs.ErrNotExist) {
		return Content{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("its configuration: %v", err)
	}
	return c, nil
}

// litter says whether a system puts a file or folder of this name everywhere.
func litter(name string) bool {
	return strings.HasPrefix(name, ".") || slices.ContainsFunc([]string{"desktop.ini", "thumbs.db",
		"System Volume Information"}, func(s string) bool { return strings.EqualFold(s, name) })
}

// WriteContent makes files the whole configuration of an image or card. Nothing of what
// was there before remains on its boot partition, in free clusters neither. When it is
// interrupted, there is no configuration.
func WriteContent(d Disk, c Content) error {
	v, err := openBoot(d)
	if err != nil {
		return err
	}
	if len(c) > mostFiles || c.size() > mostBytes {
		return fmt.Errorf("image: a configuration of %d files with %d bytes; at most %d and %d", len(c), c.size(),
			mostFiles, mostBytes)
	}
	tree := filesystem.Tree()
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("image: %q is not a file below a folder", name)
		}
		tree.Add(name, 0o400, c[name])
	}
	if err := v.Replace(d, home, tree); err != nil {
		return fmt.Errorf("image: writing the configuration: %w", err)
	}
	return nil
}

// AddContent puts files into the configuration of an image or card, beside and over those
// that are there.
func AddContent(d Disk, more Content) error {
	c, err := ReadContent(d)
	if err != nil {
		return err
	}
	maps.Copy(c, more)
	return WriteContent(d, c)
}

func (c Content) size() (n int) {
	for _, b := range c {
		n += len(b)
	}
	return n
}

// Difference names the first file that two contents do not share, or "".
func (c Content) Difference(other Content) string {
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

// Check returns what is wrong with a configuration for a board. Without a role its faults
// are those that the role which has fewer of them finds.
func (c Content) Check(role string, b boards.Board) error {
	if _, ok := c[configurationFile]; !ok {
		return nil
	}
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.Save(dir); err != nil {
		return err
	}
	files := settings.Files{Board: b, Config: filepath.Join(dir, configurationFile)}
	if _, ok := c[networkFile]; ok {
		files.Network = filepath.Join(dir, networkFile)
	}
	roles := []string{role}
	if role == "" {
		roles = []string{"tx", "rx"}
	}
	var list config.Faults
	for _, one := range roles {
		_, err := files.Check(one)
		if err == nil {
			return nil
		}
		if other, ok := errors.AsType[config.OtherRole](err); ok && role == "" {
			continue
		} else if ok {
			return config.OtherRole{File: configurationFile, Role: other.Role}
		}
		if found := faults(err); list == nil || len(found) < len(list) {
			list = found
		}
	}
	for i := range list {
		list[i].File = filepath.Base(list[i].File)
		list[i].Message = strings.ReplaceAll(list[i].Message, dir+string(filepath.Separator), "")
	}
	return fmt.Errorf("its configuration has faults: correct them and make it again:\n%w", list)
}

// faults returns what a role says of a file; a file that it cannot read is not a fault.
func faults(err error) config.Faults {
	if list, ok := errors.AsType[config.Faults](err); ok {
		return list
	}
	return config.Faults{{File: configurationFile, Line: 1, Message: err.Error()}}
}

// Save writes the files into a folder, for their owner alone.
func (c Content) Save(dir string) error {
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
