package pki

import "io/fs"

// inode is 0: a replaced file shows by its time and size alone.
func inode(fs.FileInfo) uint64 { return 0 }
