//go:build unix

package pki

import (
	"io/fs"
	"syscall"
)

// inode is another number after a file was replaced.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
