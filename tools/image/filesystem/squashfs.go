package filesystem

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
)

// A SquashFS 4.0 filesystem, after Documentation/filesystems/squashfs.rst of
// Linux: zlib for data, metadata as it is, no fragments, no export table.
//
//	superblock │ data blocks │ inodes │ folders │ owners │ where the owners are
const (
	squashMagic      = 0x73717368
	squashBlock      = 128 << 10
	squashZlib       = 1
	squashFlags      = 0x0001 | 0x0010 | 0x0200 // plain inodes, no fragments, no attributes
	squashNone       = 1<<64 - 1                // a table that is not there
	squashPlain      = 1 << 24                  // a data block that did not shrink
	squashSuper      = 96
	metadataBlock    = 8192
	metadataPlain    = 1 << 15
	squashFolder     = 1
	squashFile       = 2
	squashSymlink    = 3
	squashNoFragment = 1<<32 - 1
)

// squashDate stands on every inode: 2020-01-01, as in the boot partition.
const squashDate = 1577836800

type squash struct {
	out     bytes.Buffer // superblock and data
	inodes  []byte
	folders []byte
	count   uint32
}

// SquashFS returns the filesystem, a multiple of 4 KiB long.
func SquashFS(root *File) ([]byte, error) {
	s := &squash{}
	s.out.Write(make([]byte, squashSuper))
	number := uint32(1)
	ref, err := s.put(root, &number, entries(root)+1)
	if err != nil {
		return nil, err
	}
	inodeStart := s.out.Len()
	s.out.Write(metadata(s.inodes))
	folderStart := s.out.Len()
	s.out.Write(metadata(s.folders))
	owners := s.out.Len()
	s.out.Write(metadata(make([]byte, 4))) // one owner: root
	owner := s.out.Len()
	s.out.Write(binary.LittleEndian.AppendUint64(nil, uint64(owners)))
	used := s.out.Len()
	s.out.Write(make([]byte, -used&4095))

	b := s.out.Bytes()
	le := binary.LittleEndian
	le.PutUint32(b[0:], squashMagic)
	le.PutUint32(b[4:], s.count)
	le.PutUint32(b[8:], squashDate)
	le.PutUint32(b[12:], squashBlock)
	le.PutUint16(b[20:], squashZlib)
	le.PutUint16(b[22:], 17) // log2 of the block
	le.PutUint16(b[24:], squashFlags)
	le.PutUint16(b[26:], 1) // owners
	le.PutUint16(b[28:], 4) // version 4.0
	le.PutUint64(b[32:], ref)
	le.PutUint64(b[40:], uint64(used))
	le.PutUint64(b[48:], uint64(owner))
	le.PutUint64(b[56:], squashNone) // attributes
	le.PutUint64(b[64:], uint64(inodeStart))
	le.PutUint64(b[72:], uint64(folderStart))
	le.PutUint64(b[80:], squashNone) // fragments
	le.PutUint64(b[88:], squashNone) // export
	return b, nil
}

// entries counts the inodes below and with f.
func entries(f *File) uint32 {
	n := uint32(1)
	for _, c := range f.children {
		n += entries(c)
	}
	return n
}

// placed is a child whose inode is written.
type placed struct {
	name   string
	ref    uint64
	number uint32
	kind   uint16
}

// put writes what is below node, then its inode, and returns where that is.
func (s *squash) put(node *File, next *uint32, parent uint32) (uint64, error) {
	number := *next
	*next++
	var inode []byte
	var err error
	switch {
	case node.folder:
		inode, err = s.folder(node, next, number, parent)
	case node.link != "":
		inode = header(squashSymlink, node.mode, number)
		inode = binary.LittleEndian.AppendUint32(inode, 1)
		inode = binary.LittleEndian.AppendUint32(inode, uint32(len(node.link)))
		inode = append(inode, node.link...)
	default:
		inode, err = s.file(node, number)
	}
	if err != nil {
		return 0, err
	}
	ref := reference(len(s.inodes))
	s.inodes = append(s.inodes, inode...)
	s.count++
	return ref, nil
}

// header begins every inode.
func header(kind, mode uint16, number uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, kind)
	b = le.AppendUint16(b, mode)
	b = append(b, 0, 0, 0, 0) // owner and group: the first of the table
	b = le.AppendUint32(b, squashDate)
	return le.AppendUint32(b, number)
}

// reference is a position in metadata as block and offset.
func reference(at int) uint64 {
	return uint64(at/metadataBlock*(metadataBlock+2))<<16 | uint64(at%metadataBlock)
}

func (s *squash) file(node *File, number uint32) ([]byte, error) {
	le := binary.LittleEndian
	b := header(squashFile, node.mode, number)
	b = le.AppendUint32(b, uint32(s.out.Len()))
	b = le.AppendUint32(b, squashNoFragment)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(len(node.data)))
	for data := node.data; len(data) > 0; {
		block := data[:min(len(data), squashBlock)]
		data = data[len(block):]
		var small bytes.Buffer
		z, err := zlib.NewWriterLevel(&small, zlib.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(block); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		size := uint32(small.Len())
		if small.Len() >= len(block) {
			size = uint32(len(block)) | squashPlain
			s.out.Write(block)
		} else if _, err := io.Copy(&s.out, &small); err != nil {
			return nil, err
		}
		b = le.AppendUint32(b, size)
	}
	return b, nil
}

func (s *squash) folder(node *File, next *uint32, number, parent uint32) ([]byte, error) {
	var children []placed
	links := uint32(2)
	for _, c := range node.children {
		p := placed{name: c.name, number: *next, kind: squashFile}
		if c.folder {
			p.kind = squashFolder
			links++
		} else if c.link != "" {
			p.kind = squashSymlink
		}
		var err error
		if p.ref, err = s.put(c, next, number); err != nil {
			return nil, err
		}
		children = append(children, p)
	}
	list := listing(children)
	at := reference(len(s.folders))
	s.folders = append(s.folders, list...)

	le := binary.LittleEndian
	b := header(squashFolder, node.mode, number)
	b = le.AppendUint32(b, uint32(at>>16))
	b = le.AppendUint32(b, links)
	b = le.AppendUint16(b, uint16(len(list)+3)) // 3 for . and .., which are not there
	b = le.AppendUint16(b, uint16(at))
	return le.AppendUint32(b, parent), nil
}

// listing writes the entries of a folder. A run of them shares a header as long
// as their inodes share a block.
func listing(children []placed) []byte {
	const most = 256
	le := binary.LittleEndian
	var b []byte
	for len(children) > 0 {
		first := children[0]
		n := 1
		for n < len(children) && n < most && children[n].ref>>16 == first.ref>>16 {
			n++
		}
		b = le.AppendUint32(b, uint32(n-1))
		b = le.AppendUint32(b, uint32(first.ref>>16))
		b = le.AppendUint32(b, first.number)
		for _, c := range children[:n] {
			b = le.AppendUint16(b, uint16(c.ref))
			b = le.AppendUint16(b, uint16(c.number-first.number))
			b = le.AppendUint16(b, c.kind)
			b = le.AppendUint16(b, uint16(len(c.name)-1))
			b = append(b, c.name...)
		}
		children = children[n:]
	}
	return b
}

// metadata cuts a table into blocks, each behind its length.
func metadata(table []byte) []byte {
	var b []byte
	for len(table) > 0 {
		n := min(len(table), metadataBlock)
		b = binary.LittleEndian.AppendUint16(b, uint16(n)|metadataPlain)
		b = append(b, table[:n]...)
		table = table[n:]
	}
	return b
}
