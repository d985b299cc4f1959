package filesystem

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// The FAT32 volume that the boards' firmware reads, after Microsoft's "FAT32
// File System Specification" 1.03. Every file is contiguous, every date the
// same.
//
//	sector 0      boot sector, FSInfo at 1, their copies at 6 and 7
//	sector 32     two FATs of 32-bit entries
//	cluster 2     root folder, then folders and files in the order of the tree
const (
	fatReserved = 32
	fatDate     = 40<<9 | 1<<5 | 1 // 2020-01-01
	fatEnd      = 0x0FFFFFFF
	fatMedia    = 0xF8 // a fixed disk
	attrReadDir = 0x10
	attrLabel   = 0x08
	attrLong    = 0x0F
	entrySize   = 32
)

// Our choices.
const (
	sectorSize  = 512
	clusterSize = 2048
	fatLabel    = "HELIOGRAPH "
	fatMaker    = "HELIOGR "
)

// fat lays a tree out in clusters.
type fat struct {
	w       io.WriterAt
	base    int64 // of the volume, in bytes
	sectors uint32
	length  uint32 // of one FAT, in sectors
	table   []uint32
}

// WriteFAT writes a volume of size bytes at base.
func WriteFAT(w io.WriterAt, base, size int64, root *File) error {
	f := &fat{w: w, base: base, sectors: uint32(size / sectorSize)}
	const perSector = clusterSize / sectorSize
	for { // the FAT takes room from the clusters that it counts
		clusters := (f.sectors - fatReserved - 2*f.length) / perSector
		need := ((clusters+2)*4 + sectorSize - 1) / sectorSize
		if need <= f.length {
			f.table = make([]uint32, 2, clusters+2)
			break
		}
		f.length = need
	}
	f.table[0], f.table[1] = 0x0FFFFF00|fatMedia, fatEnd
	if _, err := f.put(root, 0); err != nil {
		return err
	}
	return f.finish()
}

// put writes a file or folder and returns its first cluster. A folder takes its
// clusters before its children do, so that the root is cluster 2.
func (f *fat) put(node *File, parent uint32) (uint32, error) {
	if !node.folder {
		return f.store(node.data)
	}
	entries := newFolder(node, parent == 0)
	first, err := f.reserve(entries.size())
	if err != nil {
		return 0, err
	}
	above := parent
	if above == 2 {
		above = 0 // the specification's name for the root in ".."
	}
	if parent != 0 {
		entries.short(".          ", attrReadDir, first, 0)
		entries.short("..         ", attrReadDir, above, 0)
	} else {
		entries.short(fatLabel, attrLabel, 0, 0)
	}
	for _, c := range node.children {
		cluster, err := f.put(c, first)
		if err != nil {
			return 0, err
		}
		entries.add(c, cluster)
	}
	return first, f.write(first, entries.data)
}

// reserve allocates a chain for n bytes; an empty file has none.
func (f *fat) reserve(n int) (uint32, error) {
	clusters := (n + clusterSize - 1) / clusterSize
	if clusters == 0 {
		return 0, nil
	}
	first := uint32(len(f.table))
	if len(f.table)+clusters > cap(f.table) {
		return 0, fmt.Errorf("filesystem: a volume of %d bytes is full", int64(f.sectors)*sectorSize)
	}
	for i := range clusters {
		next := first + uint32(i) + 1
		if i == clusters-1 {
			next = fatEnd
		}
		f.table = append(f.table, next)
	}
	return first, nil
}

func (f *fat) store(data []byte) (uint32, error) {
	first, err := f.reserve(len(data))
	if err != nil || first == 0 {
		return 0, err
	}
	return first, f.write(first, data)
}

func (f *fat) write(cluster uint32, data []byte) error {
	start := fatReserved + 2*f.length
	_, err := f.w.WriteAt(data, f.base+int64(start)*sectorSize+int64(cluster-2)*clusterSize)
	return err
}

// finish writes the FATs and the sectors that describe the volume.
func (f *fat) finish() error {
	table := make([]byte, 0, 4*len(f.table))
	for _, v := range f.table {
		table = binary.LittleEndian.AppendUint32(table, v)
	}
	boot, info := f.bootSector(), f.infoSector()
	for _, part := range []struct {
		sector uint32
		data   []byte
	}{{0, boot}, {1, info}, {6, boot}, {7, info}, {fatReserved, table}, {fatReserved + f.length, table}} {
		if _, err := f.w.WriteAt(part.data, f.base+int64(part.sector)*sectorSize); err != nil {
			return err
		}
	}
	return nil
}

func (f *fat) bootSector() []byte {
	b := make([]byte, sectorSize)
	le := binary.LittleEndian
	copy(b, "\xEB\x58\x90"+fatMaker)
	le.PutUint16(b[11:], sectorSize)
	b[13] = clusterSize / sectorSize
	le.PutUint16(b[14:], fatReserved)
	b[16] = 2 // FATs
	b[21] = fatMedia
	le.PutUint16(b[24:], 63)  // sectors a track,
	le.PutUint16(b[26:], 255) // heads: no geometry
	le.PutUint32(b[28:], uint32(f.base/sectorSize))
	le.PutUint32(b[32:], f.sectors)
	le.PutUint32(b[36:], f.length)
	le.PutUint32(b[44:], 2) // root folder
	le.PutUint16(b[48:], 1) // FSInfo
	le.PutUint16(b[50:], 6) // copy of this sector
	b[64] = 0x80
	b[66] = 0x29                      // the next three fields are there
	le.PutUint32(b[67:], 0x48454C49)  // serial number
	copy(b[71:], fatLabel+"FAT32   ") //
	le.PutUint16(b[510:], 0xAA55)     //
	return b
}

func (f *fat) infoSector() []byte {
	b := make([]byte, sectorSize)
	le := binary.LittleEndian
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], uint32(cap(f.table)-len(f.table))) // free clusters
	le.PutUint32(b[492:], uint32(len(f.table)))              // the next free one
	le.PutUint16(b[510:], 0xAA55)
	return b
}

// folder collects the entries of one folder.
type folder struct {
	data  []byte
	count int // entries that will be there
	taken map[string]bool
}

func newFolder(node *File, root bool) *folder {
	n := &folder{taken: map[string]bool{}, count: 2}
	if root {
		n.count = 1
	}
	for _, c := range node.children {
		n.count += 1 + longEntries(c.name)
	}
	return n
}

func (n *folder) size() int { return n.count * entrySize }

// longEntries is how many entries carry a name in full, 13 units each.
func longEntries(name string) int { return (len(utf16.Encode([]rune(name))) + 12) / 13 }

// add appends the long name, last part first, and the short one.
func (n *folder) add(c *File, cluster uint32) {
	short := n.alias(c.name)
	sum := checksum(short)
	units := utf16.Encode([]rune(c.name))
	parts := longEntries(c.name)
	for part := parts; part > 0; part-- {
		e := make([]byte, entrySize)
		e[0], e[11], e[13] = byte(part), attrLong, sum
		if part == parts {
			e[0] |= 0x40
		}
		for i := range 13 {
			u, at := uint16(0xFFFF), (part-1)*13+i
			if at < len(units) {
				u = units[at]
			} else if at == len(units) {
				u = 0
			}
			binary.LittleEndian.PutUint16(e[longOffset(i):], u)
		}
		n.data = append(n.data, e...)
	}
	attr := byte(0)
	if c.folder {
		attr = attrReadDir
	}
	n.short(short, attr, cluster, uint32(len(c.data)))
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

func (n *folder) short(name string, attr byte, cluster, size uint32) {
	e := make([]byte, entrySize)
	le := binary.LittleEndian
	copy(e, name)
	e[11] = attr
	le.PutUint16(e[16:], fatDate) // created
	le.PutUint16(e[18:], fatDate) // read
	le.PutUint16(e[20:], uint16(cluster>>16))
	le.PutUint16(e[24:], fatDate) // written
	le.PutUint16(e[26:], uint16(cluster))
	le.PutUint32(e[28:], size)
	n.data = append(n.data, e...)
}

// alias makes a short name that no other file in the folder has. A name that
// fits is its own: boot code in ROM reads no long ones.
func (n *folder) alias(name string) string {
	base, extension := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, extension = name[:i], name[i+1:]
	}
	if clean(base, 8)+clean(extension, 3) == strings.ToUpper(base+extension) {
		if short := fmt.Sprintf("%-8s%-3s", clean(base, 8), clean(extension, 3)); !n.taken[short] {
			n.taken[short] = true
			return short
		}
	}
	for i := 1; ; i++ {
		tail := fmt.Sprintf("~%d", i)
		short := fmt.Sprintf("%-8s%-3s", clean(base, 8-len(tail))+tail, clean(extension, 3))
		if !n.taken[short] {
			n.taken[short] = true
			return short
		}
	}
}

// clean keeps of a name, in capitals, what short names may hold.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(s))
	return s[:min(len(s), most)]
}
