package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is the real layer.
type disk struct{ old fs.FileInfo } // file whose owner and group a new one gets; nil: this user's

// create removes what a cut left, so that the file has the mode asked for.
func (d disk) create(path string, mode fs.FileMode) (file, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, mode&fileMode)
	if err != nil {
		return nil, err
	}
	if d.old != nil {
		err = giveTo(f, d.old) // before others may read it
	}
	if err == nil {
		err = f.Chmod(mode) // the umask does not apply
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (disk) read(path string, limit int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0) // a pipe must not hold us
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > int64(limit) {
		return nil, fmt.Errorf("%w: not a file of this program; remove it", ErrCorrupt)
	}
	content := make([]byte, info.Size())
	_, err = io.ReadFull(f, content)
	return content, err
}

// openSlots prefers to write past the page cache.
func (disk) openSlots(path string) (slotFile, error) {
	const flags = os.O_RDWR | noFollow
	f, err := os.OpenFile(path, flags|direct, 0)
	if errors.Is(err, syscall.EINVAL) {
		f, err = os.OpenFile(path, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	return &sectors{f}, nil
}

// cached is the real layer, whose slots stay in the page cache.
type cached struct{ disk }

func (cached) openSlots(path string) (slotFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if err != nil {
		return nil, err
	}
	return &sectors{f}, nil
}

// sectors is a file whose file system may yet refuse O_DIRECT, or sectors of 512 bytes, when it is written.
type sectors struct{ *os.File }

// WriteAt writes past the page cache, or through it from the first refusal on.
func (s *sectors) WriteAt(b []byte, at int64) (int, error) {
	n, err := s.File.WriteAt(b, at)
	if !errors.Is(err, syscall.EINVAL) {
		return n, err
	}
	f, err := os.OpenFile(s.Name(), os.O_RDWR|noFollow, 0)
	if err != nil {
		return 0, err
	}
	s.File.Close()
	s.File = f
	return f.WriteAt(b, at)
}

// Sync syncs the content; what time it was written may get lost.
func (s *sectors) Sync() error { return syncData(s.File) }

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) remove(path string) error { return os.Remove(path) }

// SyncFolder has the names in a folder on the disk: without it a file that is there may
// not be found after a power cut.
func SyncFolder(path string) error {
	if err := (disk{}).syncFolder(path); err != nil {
		return fmt.Errorf("store: syncing %s: %w", path, err)
	}
	return nil
}

// Rename renames a file or a folder within its folder, so that it survives a
// power cut. What is in it was synced before.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return SyncFolder(filepath.Dir(to))
}

// Folder creates a folder and its missing parents, for this user alone, so that
// they survive a power cut. One that exists is left as it is.
func Folder(path string) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("store: %s is not a folder; remove it or name another", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := Folder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("store: creating a folder: %w", err)
	}
	return SyncFolder(parent)
}
