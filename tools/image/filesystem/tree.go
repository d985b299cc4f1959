// Package filesystem writes filesystems without a kernel: FAT32 in place,
// SquashFS and cpio archives into memory. The same files give the same bytes.
// Of these it reads FAT32 back, as any system may have changed it, and puts a folder
// in the place of another.
//
// It refuses a volume that is damaged, and to write owners or dates: everything is
// root's, of one day.
package filesystem

import (
	"path"
	"sort"
	"strings"
)

// File is a file, a folder or a symbolic link of a filesystem to write.
type File struct {
	name     string
	mode     uint16 // permission bits
	data     []byte
	link     string // target; a symbolic link where it is not empty
	folder   bool
	children []*File // of a folder, sorted by name
}

// Tree returns an empty root folder.
func Tree() *File { return &File{folder: true, mode: 0o755} }

// Mkdir returns the folder at a slash-separated path, made if it is missing.
func (f *File) Mkdir(name string) *File {
	if name == "." || name == "" {
		return f
	}
	first, rest, _ := strings.Cut(name, "/")
	return f.insert(&File{name: first, folder: true, mode: 0o755}).Mkdir(rest)
}

// Add puts a file at a slash-separated path.
func (f *File) Add(name string, mode uint16, data []byte) {
	f.Mkdir(path.Dir(name)).insert(&File{name: path.Base(name), mode: mode, data: data})
}

// Symlink puts a symbolic link at a slash-separated path.
func (f *File) Symlink(name, target string) {
	f.Mkdir(path.Dir(name)).insert(&File{name: path.Base(name), mode: 0o777, link: target})
}

// insert keeps the children sorted: SquashFS looks names up by bisection. What
// has the name already stays.
func (f *File) insert(child *File) *File {
	i := sort.Search(len(f.children), func(i int) bool { return f.children[i].name >= child.name })
	if i < len(f.children) && f.children[i].name == child.name {
		return f.children[i]
	}
	f.children = append(f.children, nil)
	copy(f.children[i+1:], f.children[i:])
	f.children[i] = child
	return child
}
