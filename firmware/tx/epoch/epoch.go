// Package epoch numbers the runs of the transmitter.
//
// Receivers believe only epochs that rise, so the number must survive whatever
// happens to the board. It is kept twice, and both copies are on disk before
// the first frame leaves. With both copies lost it begins at 1 again: a receiver
// that remembers more refuses that, says so, and waits for its operator. The
// package refuses to take the number from a clock, because a board without a
// battery goes back in time.
package epoch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"heliograph/firmware/store"
)

var copies = [2]string{"epoch.a", "epoch.b"}

// Next returns the number of this run and keeps it in dir. lost is true when
// copies existed but none could be read.
func Next(dir string) (epoch uint64, lost bool, err error) {
	found := 0
	for _, name := range copies {
		b, err := store.Read(filepath.Join(dir, name))
		switch {
		case err == nil && len(b) == 8:
			found++
			epoch = max(epoch, binary.BigEndian.Uint64(b))
		case !errors.Is(err, fs.ErrNotExist):
			lost = true
		}
	}
	lost = lost && found == 0
	epoch++
	for _, name := range copies {
		if err := store.Write(filepath.Join(dir, name), binary.BigEndian.AppendUint64(nil, epoch)); err != nil {
			return 0, lost, fmt.Errorf("epoch: keeping the number of this run: %v", err)
		}
	}
	return epoch, lost, nil
}
