package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"heliograph/firmware/store"
)

// Update returns what keeps an update for PID 1: the file incoming in the folder
// update of a role's state. It appears there when all of it is on the disk, and stays there
// whatever happens to the power once it is accepted; one that waits is not replaced.
func Update(state string) func(io.Reader) error {
	folder := filepath.Join(state, "update")
	return func(from io.Reader) error {
		if err := store.Folder(folder); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		whole, part := filepath.Join(folder, "incoming"), filepath.Join(folder, "part")
		if _, err := os.Lstat(whole); err == nil {
			return errors.New("update: one waits to be installed: try again later")
		}
		f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("update: %v", err)
		}
		defer os.Remove(part)
		_, err = io.Copy(f, from)
		err = errors.Join(err, f.Sync(), f.Close())
		if err == nil {
			err = store.Rename(part, whole)
		}
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		return nil
	}
}
