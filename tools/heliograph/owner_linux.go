package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// leaveToOwner has root make a folder for a role that runs as another user: leave, called once
// the folder is made, gives it to the owner of the nearest folder that existed before.
func leaveToOwner(dir string) (leave func() error) {
	made := filepath.Clean(dir)
	info, err := os.Stat(made)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(made) != made {
		above := filepath.Dir(made)
		if info, err = os.Stat(above); err != nil {
			made = above
		}
	}
	owner, ok := (*syscall.Stat_t)(nil), false
	if err == nil {
		owner, ok = info.Sys().(*syscall.Stat_t)
	}
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return func() error { return nil }
	}
	return func() error { return giveTree(made, int(owner.Uid), int(owner.Gid)) }
}

// giveTree changes the owner of a folder and all in it, and follows no link out of it.
func giveTree(dir string, uid, gid int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, uid, gid)
	})
}
