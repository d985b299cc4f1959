package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/epoch"
	"heliograph/firmware/tx/totals"
)

// state is what a run has from earlier ones and hands on to the next.
type state struct {
	unlock  func() // nil: the state directory could not be locked
	updates *report.Updates
	disk    *disk.Disk
	journal *keeper.Keeper
	epoch   *epoch.Number
	session *wire.Session
	totals  *totals.Book
}

// openState opens the state directory. One that fails does not end the role, which
// then works from memory; one that another process uses does.
func openState(c Config) (*state, error) {
	dir := c.TX.State
	unlock, err := store.Lock(dir)
	switch {
	case errors.Is(err, store.ErrInUse):
		return nil, err
	case err != nil: // the epoch is not ready either, which the operator sees
		c.Log.Error("state directory cannot be used", "error", err)
	}
	if freed := store.Sweep(dir, time.Now()); freed > 0 { // before anything writes: the disk may be full of it
		c.Log.Info("temporary files of interrupted runs removed", "bytes", freed)
	}
	s := &state{unlock: unlock, updates: report.OpenUpdates(dir), disk: disk.Of(dir),
		journal: keeper.Open(dir, "tx", c.Log)}
	s.journal.Add("role_started", "heliotx "+c.Version+" starts")
	s.epoch = epoch.Next(dir, time.Now())
	if err := s.openSession(c.TX); err != nil {
		s.close()
		return nil, err
	}
	c.Log.Info("run of this transmitter", "run", acceptance.Run{Epoch: s.session.Epoch, Salt: s.session.Salt}.ID())
	var warning error
	if s.totals, warning, err = totals.Open(dir); err != nil {
		s.close()
		return nil, err
	}
	if warning != nil {
		s.journal.Add("totals_damaged", fmt.Sprintf("what earlier runs sent is not known: %v", warning))
	}
	return s, nil
}

// openSession opens the session of this run, whose epoch is on disk before the first
// frame can leave, or is beyond any that was.
func (s *state) openSession(cfg config.TX) error {
	source, err := pairkey.Open(cfg.Link.KeyFile, cfg.State)
	if err != nil {
		return err
	}
	keys, damaged, err := source.Use(time.Now())
	if err != nil {
		return err
	}
	if damaged != nil {
		s.journal.Add("pair_key_damaged", damaged.Error())
	}
	if s.epoch.Lost {
		s.journal.Add("epoch_lost", "both copies of the epoch are damaged; it begins at 1 again, "+
			"which the receiver will refuse until its operator accepts it")
	}
	if err := s.epoch.Ready(); err != nil {
		s.journal.Add("epoch_unkept", err.Error())
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	s.session, err = wire.NewSession(keys.Key, s.epoch.Epoch, salt)
	return err
}

// close closes in the reverse order of opening.
func (s *state) close() {
	if s.totals != nil {
		s.totals.Close()
	}
	s.journal.Close()
	if s.unlock != nil {
		s.unlock()
	}
}
