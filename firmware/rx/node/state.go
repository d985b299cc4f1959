package node

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/memory"
)

// state is what a run has from earlier ones and hands on to the next.
type state struct {
	dir     string
	unlock  func() // nil: the state directory could not be locked yet
	updates *report.Updates
	disk    *disk.Disk
	journal *keeper.Keeper
	keys    *pairkey.Source
	use     pairkey.Use // of keys, at the start
	memory  *memory.Memory
}

// openState opens the state directory. One that fails does not end the role, which
// then works from memory; one that another process uses does.
func openState(c Config) (*state, error) {
	dir := c.RX.State
	first := isNew(dir)
	unlock, err := store.Lock(dir)
	if errors.Is(err, store.ErrInUse) {
		return nil, err
	}
	if freed := store.Sweep(dir, time.Now()); freed > 0 { // before anything writes: the disk may be full of it
		c.Log.Info("temporary files of interrupted runs removed", "bytes", freed)
	}
	s := &state{dir: dir, unlock: unlock, updates: report.OpenUpdates(dir), disk: disk.Of(dir),
		journal: keeper.Open(dir, "rx", c.Log)}
	s.journal.Add("role_started", "heliorx "+c.Version+" starts")
	if err := s.openMemory(c.RX.Link.KeyFile); err != nil {
		s.close()
		return nil, err
	}
	if first {
		s.memory.SetFirst()
	}
	s.memory.SetFault(lockPart, err)
	return s, nil
}

// isNew says whether a state directory has nothing of an earlier run. Certificates may be in it:
// heliograph cert makes them.
func isNew(dir string) bool {
	entries, err := os.ReadDir(dir)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pki" })
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// openMemory opens what is remembered of the transmitter that has the pair key.
func (s *state) openMemory(keyFile string) error {
	source, err := pairkey.Open(keyFile, s.dir)
	if err != nil {
		return err
	}
	use, damaged, err := source.Use(time.Now())
	if err != nil {
		return err
	}
	if damaged != nil {
		s.journal.Add("pair_key_damaged", damaged.Error())
	}
	s.keys, s.use = source, use
	s.memory, err = memory.Open(s.dir, use.Memory, use.Replaced, s.journal.Add, time.Now)
	return err
}

// Parts of the state, as /readyz names those that are not kept.
const (
	lockPart        = "lock"
	certificatePart = "own certificate"
	spoolPart       = "spool of " // and the channel
)

// lock locks the state directory once that is possible.
func (s *state) lock() {
	if s.unlock == nil {
		unlock, err := store.Lock(s.dir)
		s.unlock = unlock
		s.memory.SetFault(lockPart, err)
	}
}

// close closes in the reverse order of opening.
func (s *state) close() {
	s.journal.Close()
	if s.unlock != nil {
		s.unlock()
	}
}
