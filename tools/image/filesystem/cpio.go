package filesystem

import (
	"bytes"
	"fmt"
)

// The "new ASCII" format of Documentation/driver-api/early-userspace/
// buffer-format.rst of Linux: a header of hexadecimal fields, name, content,
// both padded to whole words.
const (
	cpioMagic   = "070701"
	cpioFolder  = 0o040000
	cpioFile    = 0o100000
	cpioSymlink = 0o120000
	cpioDevice  = 0o020000
	cpioEnd     = "TRAILER!!!"
)

// Cpio returns an archive that the kernel takes as its first filesystem. It has
// the node dev/console besides, without which a program there could say nothing.
func Cpio(root *File) []byte {
	c := &cpio{}
	for _, f := range root.children {
		c.put("", f)
	}
	c.entry("dev/console", cpioDevice|0o600, nil, 5, 1)
	c.entry(cpioEnd, 0, nil, 0, 0)
	return c.out.Bytes()
}

type cpio struct {
	out   bytes.Buffer
	inode int
}

func (c *cpio) put(folder string, f *File) {
	name := folder + f.name
	switch {
	case f.folder:
		c.entry(name, cpioFolder|uint32(f.mode), nil, 0, 0)
		for _, below := range f.children {
			c.put(name+"/", below)
		}
	case f.link != "":
		c.entry(name, cpioSymlink|uint32(f.mode), []byte(f.link), 0, 0)
	default:
		c.entry(name, cpioFile|uint32(f.mode), f.data, 0, 0)
	}
}

func (c *cpio) entry(name string, mode uint32, content []byte, major, minor uint32) {
	c.inode++
	c.out.WriteString(cpioMagic)
	for _, field := range []uint32{
		uint32(c.inode), mode, 0, 0, 1, squashDate, uint32(len(content)), 0, 0, major, minor, uint32(len(name) + 1), 0,
	} {
		fmt.Fprintf(&c.out, "%08X", field)
	}
	c.out.WriteString(name + "\x00")
	c.pad()
	c.out.Write(content)
	c.pad()
}

func (c *cpio) pad() { c.out.Write(make([]byte, -c.out.Len()&3)) }
