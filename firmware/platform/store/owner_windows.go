package store

import (
	"io/fs"
	"os"
)

// SameOwner does nothing: a file inherits the rights of its folder.
func SameOwner(file, folder string) {}

// giveTo does nothing, as SameOwner.
func giveTo(*os.File, fs.FileInfo) error { return nil }
