//go:build unix

package store

import (
	"os"
	"syscall"
)

// SameOwner gives a file the owner of a folder, as far as this user may. It fails for
// one who owns the folder already, or may not administer it.
func SameOwner(file, folder string) {
	if info, err := os.Stat(folder); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(file, int(owner.Uid), int(owner.Gid))
		}
	}
}
