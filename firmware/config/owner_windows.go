package config

import "io/fs"

// ofRoot is false: roles run on Linux.
func ofRoot(fs.FileInfo) bool { return false }
