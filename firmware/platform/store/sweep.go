package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sweepAge is how old a temporary file is that no process still writes: another process,
// such as "heliograph trust add", may be about to rename its own.
const sweepAge = time.Minute

// Sweep removes the temporary files that power cuts have left in a folder and below it,
// and says how many bytes that were. Call it at the start, when nothing writes there: on
// a disk that is full it makes room. What cannot be removed stays.
func Sweep(folder string, now time.Time) (freed int64) {
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, tempSuffix) {
			return nil // goes on with what can be read
		}
		info, err := d.Info()
		// A time to come is one of a clock that was set back: older than this start.
		if err == nil && now.Sub(info.ModTime()).Abs() > sweepAge && os.Remove(path) == nil {
			freed += info.Size()
		}
		return nil
	})
	return freed
}
