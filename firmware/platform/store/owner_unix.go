//go:build unix

package store

import (
	"fmt"
	"io/fs"
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

// giveTo gives a new file the owner and group of an old one.
func giveTo(f *os.File, old fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	from, known := now.Sys().(*syscall.Stat_t)
	to, ok := old.Sys().(*syscall.Stat_t)
	if !known || !ok || from.Uid == to.Uid && from.Gid == to.Gid {
		return nil
	}
	if err := f.Chown(int(to.Uid), int(to.Gid)); err != nil {
		return fmt.Errorf("%w: it is of user %d and group %d: do this as root", err, to.Uid, to.Gid)
	}
	return nil
}
