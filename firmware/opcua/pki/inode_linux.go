package pki

import (
	"fmt"
	"io/fs"
	"syscall"
)

// inode returns a text that changes when a file is replaced, when its owner changes, and at each other
// change of its inode: also one that a restored time hides.
func inode(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprint(s.Ino, s.Uid, s.Gid, s.Ctim)
}
