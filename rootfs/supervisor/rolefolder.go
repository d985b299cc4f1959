package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/store"
)

// prepareFolders makes the folders that the role finds: a copy of its configuration,
// because files on FAT have no owner, and in it the state folder where the
// configuration's defaults expect it.
func (s *Supervisor) prepareFolders() error {
	f := s.Folders
	if err := os.RemoveAll(f.Home); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(f.Card, configurationFile)); errors.Is(err, fs.ErrNotExist) {
		return s.refusal(err)
	}
	if err := os.MkdirAll(f.State, 0o700); err != nil {
		return err
	}
	if err := os.Chown(f.State, s.User, s.User); err != nil {
		return err
	}
	err := filepath.WalkDir(f.Card, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(f.Card, path)
		if err != nil {
			return err
		}
		return s.copyToHome(path, filepath.Join(f.Home, below), d)
	})
	if err != nil {
		return fmt.Errorf("copying the configuration: %w", err)
	}
	if err := s.adoptIdentity(filepath.Join(f.Home, "pki"), filepath.Join(f.State, "pki")); err != nil {
		return fmt.Errorf("copying the identity that came with the card: %w", err)
	}
	return os.Symlink(f.State, filepath.Join(f.Home, "state"))
}

func (s *Supervisor) copyToHome(from, to string, d fs.DirEntry) error {
	if d.IsDir() {
		return os.Mkdir(to, 0o755)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, b, 0o400); err != nil {
		return err
	}
	return os.Chown(to, s.User, s.User)
}

// adoptIdentity copies the identity that was made with the card to where the role
// keeps it, completely or not at all, unless the role has one already.
func (s *Supervisor) adoptIdentity(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: there is one
	}
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.CopyFS(part, os.DirFS(from)); err != nil {
		return err
	}
	if err := s.giveToRole(part); err != nil {
		return err
	}
	unix.Sync()
	return store.Rename(part, to)
}

// giveToRole makes the role the owner of everything in a folder.
func (s *Supervisor) giveToRole(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, s.User, s.User)
	})
}
