package update

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"

	"heliograph/firmware/platform/release"
)

// maxTries is how often a pending set is tried: a trial that a power cut ended
// proves nothing about the set.
const maxTries = 3

// Action is what the initramfs does next.
type Action int

// The actions.
const (
	Start   Action = iota // mount the root slot and go on
	Try                   // restart with the firmware's argument for a trial
	Restart               // restart; the firmware takes the committed set
	Stuck                 // nothing boots: report that, and restart later
)

// NeverBegan is the fate of a set of which no trial came as far as its initramfs.
const NeverBegan = "no trial of it began: the firmware did not start it, or its kernel hung"

// TryArgument makes the firmware read tryboot.txt once.
const TryArgument = "0 tryboot"

// TrialVariable is in the environment of PID 1, with any value, while the set that runs is
// on trial: so that PID 1 knows it even when it cannot open the card.
const TrialVariable = "HELIOGRAPH_TRIAL"

// Boot counts this start and decides what to do. root is the root filesystem
// that the running initramfs belongs to. The error says what is wrong;
// the action is valid with any error.
func (c *Card) Boot(root release.Part) (Action, error) {
	committed, err := c.Committed()
	if err == nil && committed != c.running {
		return c.bootTrial(root)
	}
	r := c.record
	r.boots++
	switch {
	case r.pending == 0:
	case r.target == c.running: // the power failed between the two steps of Commit
		r.floor, r.pending = max(r.floor, r.pending), 0
	case r.tries < maxTries:
		_, damaged := c.Check(r.target)
		if damaged == nil {
			r.tries++
			if err = c.save(r); err == nil {
				return Try, nil
			}
			break // what cannot be counted is not tried
		}
		err = errors.Join(err, fmt.Errorf("update: version %d is not tried: %w", r.pending, damaged))
		r.refused, r.pending, r.damaged = r.pending, 0, true
	default:
		r.refused, r.pending = r.pending, 0
		err = errors.Join(err, fmt.Errorf("update: version %d is given up after %d tries: %s", r.refused, r.tries,
			r.fate()))
	}
	err = errors.Join(err, c.save(r))
	damaged := c.match(root, c.slot(c.running))
	if damaged == nil {
		return Start, err
	}
	return c.fallBack(errors.Join(err, damaged))
}

// bootTrial decides for a set that was started by the firmware's trial.
func (c *Card) bootTrial(root release.Part) (Action, error) {
	if c.record.pending == 0 || c.record.target != c.running {
		return Restart, errors.New("update: this set is not waiting for a trial")
	}
	if damaged := c.match(root, c.slot(c.running)); damaged != nil {
		return Restart, errors.Join(damaged, c.refuse(true))
	}
	r := c.record
	r.begun = min(r.begun, math.MaxUint8-1) + 1
	return Start, c.save(r) // it starts all the same when that cannot be counted
}

// fate says in words why the refused set was given up.
func (r record) fate() string {
	switch {
	case r.damaged:
		return "it is damaged on the card"
	case r.begun == 0:
		return NeverBegan
	case r.begun == 1:
		return "the firmware started it once, and it did not become healthy"
	}
	return fmt.Sprintf("the firmware started it %d times, and it never became healthy", r.begun)
}

// fallBack commits the other set if it is intact, and records that the running one is damaged.
func (c *Card) fallBack(why error) (Action, error) {
	other := c.running.Other()
	if _, err := c.Check(other); err != nil {
		return Stuck, errors.Join(why, err)
	}
	if err := c.choose(chosenFile, other); err != nil {
		return Stuck, errors.Join(why, err)
	}
	if m, err := c.Manifest(c.running); err == nil {
		r := c.record
		r.refused, r.damaged = m.Version, true
		why = errors.Join(why, c.save(r))
	}
	return Restart, why
}

// Check reads all of a set and compares it with its manifest.
func (c *Card) Check(s Set) (release.Manifest, error) {
	files, err := c.boot.files(s.folder())
	if err != nil {
		return release.Manifest{}, err
	}
	m, err := c.Manifest(s)
	if err != nil {
		return m, err
	}
	for _, p := range m.Files {
		if err := c.match(p, files[p.Name]); err != nil {
			return m, err
		}
	}
	line := CommandLine(m.Arguments, c.signature, s)
	if err := c.match(release.PartOf(ArgumentFile, line), files[ArgumentFile]); err != nil {
		return m, err
	}
	return m, c.match(m.Root, c.slot(s))
}

// match compares a part with what is on the disk.
func (c *Card) match(p release.Part, at extent) error {
	if p.Size > at.size {
		return fmt.Errorf("update: %s is missing, or shorter than it was", p.Name)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(c.disk, at.at, p.Size), make([]byte, chunk)); err != nil {
		return fmt.Errorf("update: reading %s: %v", p.Name, err)
	}
	if release.Digest(h.Sum(nil)) != p.Sum {
		return fmt.Errorf("update: %s is damaged", p.Name)
	}
	return nil
}

// Manifest reads a set's manifest. It compares nothing with it: see Check.
func (c *Card) Manifest(s Set) (release.Manifest, error) {
	e, err := c.boot.find(s.folder() + ManifestFile)
	if err != nil {
		return release.Manifest{}, err
	}
	b := make([]byte, min(e.size, ManifestRoom))
	if _, err := c.disk.ReadAt(b, e.at); err != nil {
		return release.Manifest{}, fmt.Errorf("update: reading %s: %v", ManifestFile, err)
	}
	if b = bytes.TrimRight(b, "\x00"); len(b) == 0 {
		return release.Manifest{}, errors.New("update: this set is empty")
	}
	return release.DecodeManifest(b)
}
