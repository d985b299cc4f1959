package update

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// The parts of Microsoft's "FAT32 File System Specification" 1.03 that finding
// a file takes.
const (
	entrySize   = 32
	attrVolume  = 0x08
	attrFolder  = 0x10
	attrLong    = 0x0F
	chainMask   = 0x0FFFFFFF
	chainEnd    = 0x0FFFFFF8
	lastLong    = 0x40
	entryFree   = 0xE5
	entriesOver = 0x00
)

// Our bounds. What a damaged volume says of itself may be anything.
const (
	maxFolder  = 256 << 10 // bytes
	maxFile    = 256 << 20 // bytes
	maxUnits   = 260       // of a name
	maxDepth   = 4
	maxFiles   = 256  // of a set
	maxEntries = 4096 // below a set's folder, folders included
)

// volume is a FAT32 that is only read: what an update changes is what files
// hold, never where they are.
type volume struct {
	d       io.ReaderAt
	part    extent
	fat     int64 // where the first one stands
	data    int64 // where cluster 2 stands
	cluster int64 // bytes
	count   uint32
	root    uint32
}

func openVolume(d io.ReaderAt, part extent) (*volume, error) {
	b := make([]byte, sectorSize)
	if _, err := d.ReadAt(b, part.at); err != nil {
		return nil, fmt.Errorf("update: reading the boot partition: %v", err)
	}
	le := binary.LittleEndian
	perCluster, reserved, fats, length := int64(b[13]), int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint32(b[36:]))
	sectors := int64(le.Uint32(b[32:]))
	v := &volume{d: d, part: part, cluster: perCluster * sectorSize, root: le.Uint32(b[44:])}
	v.fat = part.at + reserved*sectorSize
	v.data = v.fat + fats*length*sectorSize
	clusters := int64(0)
	if perCluster > 0 {
		clusters = (sectors - reserved - fats*length) / perCluster
	}
	if le.Uint16(b[510:]) != 0xAA55 || le.Uint16(b[11:]) != sectorSize || fats < 1 || fats > 2 ||
		sectors*sectorSize > part.size || clusters < 1 || (clusters+2)*4 > length*sectorSize {
		return nil, errors.New("update: the boot partition is not FAT32")
	}
	v.count = uint32(clusters)
	return v, nil
}

// entry is a file or folder.
type entry struct {
	name   string
	folder bool
	first  uint32
	size   int64
}

func (v *volume) known(cluster uint32) bool { return cluster >= 2 && cluster-2 < v.count }

func (v *volume) at(cluster uint32) int64 { return v.data + int64(cluster-2)*v.cluster }

// folder returns what is in the folder that begins at a cluster.
func (v *volume) folder(first uint32) ([]entry, error) {
	var b []byte
	for cluster := first; cluster < chainEnd; {
		if !v.known(cluster) || len(b) > maxFolder {
			return nil, errors.New("update: a folder of the boot partition is damaged")
		}
		part := make([]byte, v.cluster)
		if _, err := v.d.ReadAt(part, v.at(cluster)); err != nil {
			return nil, fmt.Errorf("update: reading the boot partition: %v", err)
		}
		b = append(b, part...)
		next, err := v.chain(cluster, 1)
		if err != nil {
			return nil, err
		}
		cluster = next[0]
	}
	return entries(b), nil
}

// chain returns n consecutive entries of the FAT.
func (v *volume) chain(from uint32, n int64) ([]uint32, error) {
	b := make([]byte, 4*n)
	if _, err := v.d.ReadAt(b, v.fat+4*int64(from)); err != nil {
		return nil, fmt.Errorf("update: reading the boot partition: %v", err)
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = binary.LittleEndian.Uint32(b[4*i:]) & chainMask
	}
	return list, nil
}

// entries reads a folder's bytes. Parts of a long name stand before the entry
// that they name, last part first.
func entries(b []byte) []entry {
	var list []entry
	var long []uint16
	le := binary.LittleEndian
	for ; len(b) >= entrySize && b[0] != entriesOver; b = b[entrySize:] {
		e := b[:entrySize]
		switch {
		case e[0] == entryFree:
			long = nil
		case e[11] == attrLong:
			if e[0]&lastLong != 0 || len(long) > maxUnits {
				long = nil
			}
			var part []uint16
			for i := range 13 {
				part = append(part, le.Uint16(e[longOffset(i):]))
			}
			long = append(part, long...)
		case e[11]&attrVolume != 0 || e[0] == '.':
			long = nil
		default:
			list = append(list, entry{
				name: name(e, long), folder: e[11]&attrFolder != 0,
				first: uint32(le.Uint16(e[20:]))<<16 | uint32(le.Uint16(e[26:])), size: int64(le.Uint32(e[28:])),
			})
			long = nil
		}
	}
	return list
}

// longOffset is where the i-th unit of a long name stands in its entry.
func longOffset(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	}
	return 28 + 2*(i-11)
}

func name(e []byte, long []uint16) string {
	for i, u := range long {
		if u == 0 {
			long = long[:i]
			break
		}
	}
	if len(long) > 0 {
		return string(utf16.Decode(long))
	}
	base, extension := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if extension != "" {
		base += "." + extension
	}
	return base
}

// contiguous returns where a file's bytes are.
func (v *volume) contiguous(e entry) (extent, error) {
	n := (e.size + v.cluster - 1) / v.cluster
	if n == 0 {
		return extent{}, nil
	}
	if e.size > maxFile || n > int64(v.count) || !v.known(e.first) || !v.known(e.first+uint32(n-1)) {
		return extent{}, fmt.Errorf("update: %s is damaged", e.name)
	}
	list, err := v.chain(e.first, n)
	if err != nil {
		return extent{}, err
	}
	for i, next := range list {
		if last := i == len(list)-1; last && next < chainEnd || !last && next != e.first+uint32(i)+1 {
			return extent{}, fmt.Errorf("update: %s is fragmented: write the card again", e.name)
		}
	}
	return extent{v.at(e.first), e.size}, nil
}

// lookup returns the entry at a slash-separated path.
func (v *volume) lookup(path string) (entry, error) {
	at := entry{folder: true, first: v.root}
	for _, want := range strings.Split(path, "/") {
		list, err := v.folder(at.first)
		if err != nil {
			return entry{}, err
		}
		found := false
		for _, e := range list {
			if strings.EqualFold(e.name, want) {
				at, found = e, true
				break
			}
		}
		if !found {
			return entry{}, fmt.Errorf("update: the boot partition has no %s", path)
		}
	}
	return at, nil
}

// find returns where the file at a slash-separated path is.
func (v *volume) find(path string) (extent, error) {
	e, err := v.lookup(path)
	if err != nil {
		return extent{}, err
	}
	if e.folder {
		return extent{}, fmt.Errorf("update: %s is a folder", path)
	}
	return v.contiguous(e)
}

// files returns where the files below a folder are, by their paths from there.
func (v *volume) files(folder string) (map[string]extent, error) {
	e, err := v.lookup(strings.TrimSuffix(folder, "/"))
	if err != nil {
		return nil, err
	}
	all, left := map[string]extent{}, maxEntries
	return all, v.collect(all, "", e, maxDepth, &left)
}

func (v *volume) collect(all map[string]extent, under string, folder entry, depth int, left *int) error {
	list, err := v.folder(folder.first)
	if err != nil {
		return err
	}
	*left -= len(list)
	if depth == 0 || len(all) > maxFiles || *left < 0 {
		return errors.New("update: too many files in a set")
	}
	for _, e := range list {
		if e.folder {
			err = v.collect(all, under+e.name+"/", e, depth-1, left)
		} else {
			all[under+e.name], err = v.contiguous(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
