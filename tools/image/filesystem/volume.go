package filesystem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"strings"
)

// Bounds of a volume that is read. What it says of itself may be anything.
const (
	maxClusters   = 4 << 20
	maxFolder     = 1 << 20 // bytes
	maxDepth      = 16
	chainMask     = 0x0FFFFFFF
	chainEnd      = 0x0FFFFFF8
	rootCluster   = 2 // the first that there is
	infoSignature = "RRaA"
)

// Volume is a FAT32 volume, written by WriteFAT and changed since by any system. Its
// methods are for one goroutine.
type Volume struct {
	d       io.ReaderAt
	base    int64 // of the volume, in bytes
	fat     int64 // of the first table
	fats    int64
	length  int64 // of one table
	data    int64 // of cluster 2
	cluster int64 // bytes
	table   []uint32
	root    uint32
	info    []int64 // FSInfo and its copy
}

var errNoFAT32 = errors.New("filesystem: not a FAT32 volume")

// OpenFAT reads the tables of the volume of at most size bytes at base.
func OpenFAT(d io.ReaderAt, base, size int64) (*Volume, error) {
	b := make([]byte, sectorSize)
	if err := readFull(d, b, base); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	perCluster, reserved, fats, length := int64(b[13]), int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint32(b[36:]))
	sectors := int64(le.Uint32(b[32:]))
	if le.Uint16(b[510:]) != 0xAA55 || le.Uint16(b[11:]) != sectorSize || bits.OnesCount8(b[13]) != 1 || fats < 1 ||
		fats > 2 || le.Uint16(b[17:]) != 0 || sectors*sectorSize > size || reserved < 1 {
		return nil, errNoFAT32
	}
	clusters := (sectors - reserved - fats*length) / perCluster
	if clusters < 1 || clusters > maxClusters || (clusters+rootCluster)*4 > length*sectorSize {
		return nil, errNoFAT32
	}
	v := &Volume{d: d, base: base, fat: base + reserved*sectorSize, fats: fats, length: length * sectorSize,
		cluster: perCluster * sectorSize, root: le.Uint32(b[44:])}
	v.data = v.fat + fats*v.length
	text := make([]byte, 4*(clusters+rootCluster))
	if err := readFull(d, text, v.fat); err != nil {
		return nil, err
	}
	v.table = make([]uint32, clusters+rootCluster)
	for i := range v.table {
		v.table[i] = le.Uint32(text[4*i:])
	}
	info, spare := int64(le.Uint16(b[48:])), int64(le.Uint16(b[50:]))
	if info > 0 && info < reserved {
		v.info = append(v.info, base+info*sectorSize)
	}
	if info > 0 && spare > 0 && spare+info < reserved {
		v.info = append(v.info, base+(spare+info)*sectorSize)
	}
	return v, nil
}

func readFull(d io.ReaderAt, b []byte, at int64) error {
	n, err := d.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("filesystem: reading byte %d: %w", at, err)
}

// Label is the name in the boot sector, and OEM what it says made the volume: either
// may have been changed by another system.
func (v *Volume) Label() (label, oem string, err error) {
	b := make([]byte, sectorSize)
	if err := readFull(v.d, b, v.base); err != nil {
		return "", "", err
	}
	return string(b[71:82]), string(b[3:11]), nil
}

// Ours says whether WriteFAT made the volume, by what other systems leave of it.
func (v *Volume) Ours() bool {
	label, oem, err := v.Label()
	return err == nil && (label == fatLabel || oem == fatMaker)
}

func (v *Volume) at(cluster uint32) int64 { return v.data + int64(cluster-rootCluster)*v.cluster }

func (v *Volume) known(cluster uint32) bool {
	return cluster >= rootCluster && int64(cluster) < int64(len(v.table))
}

func damaged(name string) error {
	return fmt.Errorf("filesystem: %s is damaged: check the volume, or write the card again", name)
}

// chain returns the clusters of a file or folder, at most as many as bytes take.
func (v *Volume) chain(name string, first uint32, most int64) ([]uint32, error) {
	var list []uint32
	for c := first; c < chainEnd; c = v.table[c] & chainMask {
		if !v.known(c) || int64(len(list))*v.cluster >= most {
			return nil, damaged(name)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, damaged(name)
	}
	return list, nil
}

// node is a file or folder that was found.
type node struct {
	name       string
	folder     bool
	first      uint32
	size       int64
	start, end int // of its entries in the folder, in bytes
}

// folder returns the clusters of a folder and its bytes.
func (v *Volume) folder(name string, first uint32) ([]uint32, []byte, error) {
	list, err := v.chain(name, first, maxFolder)
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, int64(len(list))*v.cluster)
	for i, c := range list {
		if err := readFull(v.d, b[int64(i)*v.cluster:][:v.cluster], v.at(c)); err != nil {
			return nil, nil, err
		}
	}
	return list, b, nil
}

// lookup returns the file or folder at a slash-separated path; "." is the root.
func (v *Volume) lookup(name string) (node, error) {
	at := node{folder: true, first: v.root}
	if name == "." {
		return at, nil
	}
	for _, want := range strings.Split(name, "/") {
		if !at.folder {
			return node{}, fmt.Errorf("filesystem: %s: %w", name, fs.ErrNotExist)
		}
		_, b, err := v.folder(name, at.first)
		if err != nil {
			return node{}, err
		}
		found := false
		for _, n := range nodes(b) {
			if strings.EqualFold(n.name, want) {
				at, found = n, true
				break
			}
		}
		if !found {
			return node{}, fmt.Errorf("filesystem: %s: %w", name, fs.ErrNotExist)
		}
	}
	return at, nil
}

// content returns a file's bytes, at most most of them.
func (v *Volume) content(name string, n node, most int64) ([]byte, error) {
	if n.size > most {
		return nil, fmt.Errorf("filesystem: %s has %d bytes; at most %d", name, n.size, most)
	}
	if n.size == 0 {
		return nil, nil
	}
	list, err := v.chain(name, n.first, n.size+v.cluster-1)
	if err != nil || int64(len(list))*v.cluster < n.size {
		return nil, damaged(name)
	}
	b := make([]byte, n.size)
	for i, c := range list {
		at := int64(i) * v.cluster
		if at >= n.size {
			break
		}
		if err := readFull(v.d, b[at:min(at+v.cluster, n.size)], v.at(c)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ReadFile returns the file at a slash-separated path, which has at most most bytes. The
// error of one that is not there is fs.ErrNotExist.
func (v *Volume) ReadFile(name string, most int64) ([]byte, error) {
	n, err := v.lookup(name)
	if err != nil {
		return nil, err
	}
	if n.folder {
		return nil, fmt.Errorf("filesystem: %s is a folder", name)
	}
	return v.content(name, n, most)
}

// Files returns the files below a folder, by their paths from there, which have most
// bytes together and are at most count; skip leaves files and folders out by their names.
func (v *Volume) Files(folder string, count int, most int64, skip func(name string) bool) (map[string][]byte, error) {
	n, err := v.lookup(folder)
	if err != nil {
		return nil, err
	}
	w := walker{v: v, all: map[string][]byte{}, count: count, left: most, skip: skip}
	return w.all, w.walk("", n, maxDepth)
}

type walker struct {
	v     *Volume
	all   map[string][]byte
	count int
	left  int64
	seen  int
	skip  func(string) bool
}

func (w *walker) walk(under string, folder node, depth int) error {
	_, b, err := w.v.folder(under, folder.first)
	if err != nil {
		return err
	}
	for _, n := range nodes(b) {
		if w.seen++; depth == 0 || w.seen > 4*w.count {
			return fmt.Errorf("filesystem: too many files and folders below %s", under)
		}
		name := under + n.name
		switch {
		case w.skip(n.name):
		case n.folder:
			err = w.walk(name+"/", n, depth-1)
		case len(w.all) == w.count:
			err = fmt.Errorf("filesystem: more than %d files", w.count)
		default:
			w.all[name], err = w.v.content(name, n, w.left)
			w.left -= n.size
		}
		if err != nil {
			return err
		}
	}
	return nil
}
