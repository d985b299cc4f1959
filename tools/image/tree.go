package image

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// file is a file, a folder or a symbolic link of a filesystem to write.
type file struct {
	name     string
	mode     uint16 // permission bits
	data     []byte
	link     string // target; a symbolic link where it is not empty
	folder   bool
	children []*file // of a folder, sorted by name
}

// tree returns an empty root folder.
func tree() *file { return &file{folder: true, mode: 0o755} }

// mkdir returns the folder at a slash-separated path, made if it is missing.
func (f *file) mkdir(name string) *file {
	if name == "." || name == "" {
		return f
	}
	first, rest, _ := strings.Cut(name, "/")
	return f.insert(&file{name: first, folder: true, mode: 0o755}).mkdir(rest)
}

// add puts a file at a slash-separated path.
func (f *file) add(name string, mode uint16, data []byte) {
	f.mkdir(path.Dir(name)).insert(&file{name: path.Base(name), mode: mode, data: data})
}

// symlink puts a symbolic link at a slash-separated path.
func (f *file) symlink(name, target string) {
	f.mkdir(path.Dir(name)).insert(&file{name: path.Base(name), mode: 0o777, link: target})
}

// insert keeps the children sorted: SquashFS looks names up by bisection. What
// has the name already stays.
func (f *file) insert(child *file) *file {
	i := sort.Search(len(f.children), func(i int) bool { return f.children[i].name >= child.name })
	if i < len(f.children) && f.children[i].name == child.name {
		return f.children[i]
	}
	f.children = append(f.children, nil)
	copy(f.children[i+1:], f.children[i:])
	f.children[i] = child
	return child
}

// size is the number of bytes in the files below f.
func (f *file) size() int64 {
	n := int64(len(f.data))
	for _, c := range f.children {
		n += c.size()
	}
	return n
}

// room fails when files of f cannot fit in limit bytes.
func (f *file) room(what string, limit int64) error {
	if n := f.size(); n > limit {
		return fmt.Errorf("image: the %s needs %d bytes and has %d", what, n, limit)
	}
	return nil
}
