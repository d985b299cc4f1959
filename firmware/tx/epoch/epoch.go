// Package epoch numbers the runs of the transmitter.
//
// Receivers accept only epochs that rise, so the number must survive a power cut
// and a damaged sector. It is kept twice, and both copies are on disk before the
// first frame is sent. With both copies lost it begins at 1 again: a receiver that
// remembers more refuses that until its operator accepts it.
//
// A card that turns read-only must not end monitoring, and a number that was
// not kept must not be used again: a receiver would refuse the second run. While
// the number cannot be kept it therefore contains the seconds of the clock, and is
// kept as soon as the disk accepts it. Otherwise the package refuses to derive the
// number from a clock, which without a battery goes back at each start. A number
// that is repeated does no harm: a session's keys come from the run's random salt too.
package epoch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/store"
)

var copies = [2]string{"epoch.a", "epoch.b"}

// Number is the number of this run, and the task that keeps it when the start
// could not.
type Number struct {
	Epoch uint64
	Lost  bool // copies existed but none could be read: it began at 1 again

	dir    string
	mu     sync.Mutex
	unkept error
}

// Next returns the number of this run, kept in dir if that is possible.
func Next(dir string, now time.Time) *Number {
	last, lost, readable := kept(dir)
	n := &Number{Epoch: last + 1, Lost: lost, dir: dir}
	if !readable {
		n.unkept = errors.New("it cannot be read") // what is written now could be less than what was
	} else if n.unkept = n.keep(); n.unkept == nil {
		return n
	}
	n.Epoch += uint64(max(0, now.Unix()-base))
	return n
}

// base is 2026-01-01, from when on the seconds count.
const base = 1_767_225_600

// Kept returns the number that is kept in dir: the present or last run's.
func Kept(dir string) (uint64, error) {
	last, lost, readable := kept(dir)
	switch {
	case lost || !readable:
		return 0, fmt.Errorf("epoch: no copy in %s can be read", dir)
	case last == 0:
		return 0, fmt.Errorf("epoch: %s has none: heliotx has not run yet", dir)
	}
	return last, nil
}

// kept returns the larger of both copies. lost is true when copies exist but all are
// damaged, readable when nothing but damage kept one from being read.
func kept(dir string) (last uint64, lost, readable bool) {
	found := 0
	readable = true
	for _, name := range copies {
		b, err := store.Read(filepath.Join(dir, name))
		switch {
		case err == nil && len(b) == 8:
			found++
			last = max(last, binary.BigEndian.Uint64(b))
		case err == nil || errors.Is(err, store.ErrCorrupt):
			lost = true
		case !errors.Is(err, fs.ErrNotExist):
			readable = false
		}
	}
	return last, lost && found == 0, readable || found > 0
}

// keep writes both copies.
func (n *Number) keep() error {
	for _, name := range copies {
		if err := store.Write(filepath.Join(n.dir, name), binary.BigEndian.AppendUint64(nil, n.Epoch)); err != nil {
			return err
		}
	}
	return nil
}

// String names the task.
func (n *Number) String() string { return "epoch" }

// Ready returns why the number is not kept, if it is not.
func (n *Number) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unkept == nil {
		return nil
	}
	return cause.State(fmt.Errorf("state: the number of this run is not kept, and the receiver may refuse the next: %w",
		n.unkept))
}

// retry is how often a number that is not kept is written again.
const retry = 10 * time.Second

// Run keeps the number as soon as the disk accepts it, and returns when ctx ends.
func (n *Number) Run(ctx context.Context) error {
	for n.Ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
		err := n.keep()
		n.mu.Lock()
		n.unkept = err
		n.mu.Unlock()
	}
	<-ctx.Done()
	return nil
}
