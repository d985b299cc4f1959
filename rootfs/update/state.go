package update

import "errors"

// State is the state of a card's updates.
type State struct {
	Running, Committed Set
	Trying             bool   // the running set is on trial: Commit or Refuse it
	Version            uint64 // of the running set; 0 when its manifest is damaged
	Floor              uint64 // the lowest version that is installed
	Pending            uint64 // is tried at the next start; 0: none
	Refused            uint64 // was given up last, after trials or because it is damaged; 0: none
	Fate               string // why it was given up, in words; "" when none was
	Boots              uint32 // of the committed set since it was last healthy, this one included
}

// State reads the state of the card.
func (c *Card) State() (State, error) {
	committed, err := c.Committed()
	if err != nil {
		return State{}, err
	}
	s := State{
		Running: c.running, Committed: committed, Trying: c.running != 0 && c.running != committed,
		Floor: c.floor(committed), Pending: c.record.pending, Refused: c.record.refused, Boots: c.record.boots,
	}
	if s.Refused != 0 {
		s.Fate = c.record.fate()
	}
	if set := c.running; set != 0 {
		if m, err := c.Manifest(set); err == nil {
			s.Version = m.Version
		}
	}
	return s, nil
}

// Target returns what a card is for, from the manifest of a set, the committed one
// first.
func (c *Card) Target() (Target, error) {
	committed, err := c.Committed()
	if err != nil {
		return Target{}, err
	}
	m, err := c.Manifest(committed)
	if err != nil {
		if m, err = c.Manifest(committed.Other()); err != nil {
			return Target{}, err
		}
	}
	return Target{m.Role, m.Board}, nil
}

// floor is the lowest version that may be installed: that of the record or, on
// a card that was never updated or lost it, of the committed set.
func (c *Card) floor(committed Set) uint64 {
	m, err := c.Manifest(committed)
	if err != nil {
		return c.record.floor
	}
	return max(c.record.floor, m.Version)
}

// Commit records that the running set is healthy: one that is on trial becomes the
// committed one. That is the write of one byte.
func (c *Card) Commit() error {
	committed, err := c.Committed()
	if err != nil {
		return err
	}
	r := c.record
	if c.running == 0 {
		return errors.New("update: only the machine that runs a set can commit it")
	}
	if c.running != committed {
		if r.pending == 0 || r.target != c.running {
			return errors.New("update: this set is not waiting for a trial")
		}
		if err := c.choose(chosenFile, c.running); err != nil {
			return err
		}
		r.floor, r.pending, r.refused, r.tries = max(r.floor, r.pending), 0, 0, 0
	} else if r.boots == 0 {
		return nil
	}
	r.boots = 0
	return c.save(r)
}

// Refuse ends the trial of the running set; the next start is of the committed one.
func (c *Card) Refuse() error { return c.refuse(false) }

func (c *Card) refuse(damaged bool) error {
	r := c.record
	if r.pending == 0 || r.target != c.running {
		return errors.New("update: this set is not waiting for a trial")
	}
	r.refused, r.pending, r.damaged = r.pending, 0, damaged
	return c.save(r)
}
