package filesystem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Disk is what a volume that is changed lies on. What was written before a Sync that
// returned nil stays.
type Disk interface {
	ReadAt(b []byte, at int64) (int, error)
	WriteAt(b []byte, at int64) (int, error)
	Sync() error
}

// wipeChunk is how many bytes of free clusters are read at a time.
const wipeChunk = 1 << 20

// editor changes a volume.
type editor struct {
	*Volume
	w        Disk
	onDisk   []uint32 // the table as it is there
	clusters []uint32 // of the root folder
	root     []byte
	next     uint32 // no cluster before it is free
}

// Replace puts a tree in the place of a folder of the root, with all that was below it,
// and makes every free cluster of the volume zero. The result depends on the tree and on
// what else is on the volume, not on what the folder held before.
//
// When it is interrupted, the folder is missing, and the rest is as it was.
func (v *Volume) Replace(w Disk, name string, tree *File) error {
	e := &editor{Volume: v, w: w, onDisk: append([]uint32(nil), v.table...), next: rootCluster}
	var err error
	if e.clusters, e.root, err = v.folder("the root folder", v.root); err != nil {
		return err
	}
	e.clearEnd()
	if err := e.remove(name); err != nil {
		return err
	}
	if err := e.writeRoot(); err != nil {
		return err
	}
	start, err := e.slot(1 + longEntries(name))
	if err != nil {
		return err
	}
	first, err := e.put(tree, 0)
	if err != nil {
		return err
	}
	if err := e.writeTable(); err != nil {
		return err
	}
	copy(e.root[start:], e.entries(name, first))
	if err := e.writeRoot(); err != nil {
		return err
	}
	if err := e.wipe(); err != nil {
		return err
	}
	return w.Sync()
}

// Overwrite gives a file other bytes of the same length.
func (v *Volume) Overwrite(w Disk, name string, b []byte) error {
	n, err := v.lookup(name)
	if err != nil {
		return err
	}
	if n.folder || n.size != int64(len(b)) {
		return fmt.Errorf("filesystem: %s has %d bytes, not %d", name, n.size, len(b))
	}
	list, err := v.chain(name, n.first, n.size+v.cluster-1)
	if err != nil || int64(len(list))*v.cluster < n.size {
		return damaged(name)
	}
	e := &editor{Volume: v, w: w}
	if err := e.scatter(list, b); err != nil {
		return err
	}
	return w.Sync()
}

// clearEnd removes from the root what stands behind its end, where new entries may go.
func (e *editor) clearEnd() {
	for at := 0; at+entrySize <= len(e.root); at += entrySize {
		if e.root[at] == entryOver {
			clear(e.root[at:])
			return
		}
	}
}

// remove takes a folder or file out of the root, and frees its clusters.
func (e *editor) remove(name string) error {
	kept := map[uint32]bool{}
	var gone []node
	for _, n := range nodes(e.root) {
		if strings.EqualFold(n.name, name) {
			gone = append(gone, n)
			continue
		}
		if err := e.each(n.name, n, maxDepth, func(c uint32) bool {
			twice := kept[c]
			kept[c] = true
			return !twice
		}); err != nil {
			return err
		}
	}
	for _, n := range gone {
		if err := e.each(name, n, maxDepth, func(c uint32) bool {
			if kept[c] || c == e.Volume.root || e.table[c]&chainMask == 0 {
				return false // of two files, or of a folder above
			}
			e.set(c, 0)
			return true
		}); err != nil {
			return err
		}
		for at := n.start; at < n.end; at += entrySize {
			e.root[at] = entryFree
		}
	}
	return nil
}

// each visits the clusters of a file, or of a folder and all that is in it: a folder's own
// ones first, so that a visit that refuses a cluster twice ends on any volume.
func (e *editor) each(name string, n node, depth int, visit func(cluster uint32) bool) error {
	if depth == 0 {
		return damaged(name)
	}
	var list []uint32
	var b []byte
	var err error
	if n.folder {
		list, b, err = e.folder(name, n.first)
	} else if n.first != 0 {
		list, err = e.chain(name, n.first, int64(len(e.table))*e.cluster)
	}
	if err != nil {
		return err
	}
	for _, c := range list {
		if !visit(c) {
			return damaged(name)
		}
	}
	for _, c := range nodes(b) {
		if err := e.each(name+"/"+c.name, c, depth-1, visit); err != nil {
			return err
		}
	}
	return nil
}

// set keeps the upper bits, which are not a part of the number.
func (e *editor) set(cluster, value uint32) {
	e.table[cluster] = e.table[cluster]&^chainMask | value
}

// slot returns where in the root count entries can stand.
func (e *editor) slot(count int) (int, error) {
	run := 0
	for at := 0; at < len(e.root); at += entrySize {
		if e.root[at] != entryFree && e.root[at] != entryOver {
			run = 0
		} else if run++; run == count {
			return at - (count-1)*entrySize, nil
		}
	}
	if len(e.root) >= maxFolder {
		return 0, errors.New("filesystem: the root folder is full: write the card again")
	}
	more, err := e.reserve(int(e.cluster))
	if err != nil {
		return 0, err
	}
	e.set(e.clusters[len(e.clusters)-1], more[0])
	e.clusters = append(e.clusters, more...)
	e.root = append(e.root, make([]byte, e.cluster)...)
	return e.slot(count)
}

// entries are those of the folder in the root.
func (e *editor) entries(name string, first uint32) []byte {
	f := &folder{taken: map[string]bool{}}
	for at := 0; at+entrySize <= len(e.root) && e.root[at] != entryOver; at += entrySize {
		if b := e.root[at:]; b[0] != entryFree && b[11]&attrLong != attrLong {
			f.taken[string(b[:11])] = true
		}
	}
	f.add(&File{name: name, folder: true}, first)
	return f.data
}

// reserve allocates the first free clusters for n bytes.
func (e *editor) reserve(n int) ([]uint32, error) {
	need := int((int64(n) + e.cluster - 1) / e.cluster)
	list := make([]uint32, 0, need)
	for ; len(list) < need; e.next++ {
		if int64(e.next) >= int64(len(e.table)) {
			return nil, errors.New("filesystem: the volume is full: remove what does not belong there")
		}
		if e.table[e.next]&chainMask == 0 {
			list = append(list, e.next)
		}
	}
	for i, c := range list {
		if i+1 < len(list) {
			e.set(c, list[i+1])
		} else {
			e.set(c, fatEnd)
		}
	}
	return list, nil
}

// put writes a file or folder and returns its first cluster; an empty file has none.
// parent is that of the folder above, 0 for the root.
func (e *editor) put(n *File, parent uint32) (uint32, error) {
	size := len(n.data)
	var f *folder
	if n.folder {
		f = newFolder(n, false)
		size = f.size()
	}
	list, err := e.reserve(size)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	if !n.folder {
		return list[0], e.scatter(list, n.data)
	}
	f.short(".          ", attrReadDir, list[0], 0)
	f.short("..         ", attrReadDir, parent, 0)
	for _, c := range n.children {
		first, err := e.put(c, list[0])
		if err != nil {
			return 0, err
		}
		f.add(c, first)
	}
	return list[0], e.scatter(list, f.data)
}

// scatter writes bytes into clusters, and zeros behind them.
func (e *editor) scatter(list []uint32, b []byte) error {
	for i, c := range list {
		part := make([]byte, e.cluster)
		copy(part, b[min(int64(i)*e.cluster, int64(len(b))):])
		if err := e.write(part, e.at(c)); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) write(b []byte, at int64) error {
	if _, err := e.w.WriteAt(b, at); err != nil {
		return fmt.Errorf("filesystem: writing byte %d: %w", at, err)
	}
	return nil
}

// writeRoot returns when the root folder is on the disk.
func (e *editor) writeRoot() error {
	if err := e.scatter(e.clusters, e.root); err != nil {
		return err
	}
	return e.w.Sync()
}

// writeTable writes the sectors of the tables that changed, and how much is free.
func (e *editor) writeTable() error {
	const perSector = sectorSize / 4
	for from := 0; from < len(e.table); from += perSector {
		to := min(from+perSector, len(e.table))
		b := make([]byte, 0, sectorSize)
		same := true
		for i := from; i < to; i++ {
			same = same && e.table[i] == e.onDisk[i]
			b = binary.LittleEndian.AppendUint32(b, e.table[i])
		}
		rest := make([]byte, sectorSize-len(b)) // of a table's last sector
		if err := readFull(e.d, rest, e.fat+int64(4*to)); err != nil {
			return err
		}
		b = append(b, rest...)
		for n := int64(0); n < e.fats && !same; n++ {
			if err := e.write(b, e.fat+n*e.length+int64(4*from)); err != nil {
				return err
			}
		}
	}
	if err := e.writeInfo(); err != nil {
		return err
	}
	return e.w.Sync()
}

// writeInfo counts the free clusters.
func (e *editor) writeInfo() error {
	free, next := uint32(0), uint32(0)
	for i := len(e.table) - 1; i >= rootCluster; i-- {
		if e.table[i]&chainMask == 0 {
			free, next = free+1, uint32(i)
		}
	}
	for _, at := range e.info {
		b := make([]byte, sectorSize)
		if err := readFull(e.d, b, at); err != nil {
			return err
		}
		if string(b[:4]) != infoSignature {
			continue
		}
		binary.LittleEndian.PutUint32(b[488:], free)
		binary.LittleEndian.PutUint32(b[492:], next)
		if err := e.write(b, at); err != nil {
			return err
		}
	}
	return nil
}

// wipe makes free clusters zero, those that are not.
func (e *editor) wipe() error {
	buffer, zeros := make([]byte, wipeChunk), make([]byte, e.cluster)
	for c := uint32(rootCluster); int64(c) < int64(len(e.table)); {
		run := uint32(0)
		for int64(c+run) < int64(len(e.table)) && e.table[c+run]&chainMask == 0 && int64(run+1)*e.cluster <= wipeChunk {
			run++
		}
		if run == 0 {
			c++
			continue
		}
		b := buffer[:int64(run)*e.cluster]
		if err := readFull(e.d, b, e.at(c)); err != nil {
			return err
		}
		for i := range run {
			if !bytes.Equal(b[int64(i)*e.cluster:][:e.cluster], zeros) {
				if err := e.write(zeros, e.at(c+i)); err != nil {
					return err
				}
			}
		}
		c += run
	}
	return nil
}
