package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// incoming is where the role leaves an update that came to its status port. It is
// looked at by PID 1 alone, which installs nothing that is not signed.
const incoming = state + "/update/incoming"

// releases keeps or gives up the release that runs, and installs the next one.
type releases struct {
	log     *slog.Logger
	news    *news
	card    *update.Card
	device  update.Device
	target  update.Target
	vitals  *vitals
	restart func()
	trial   trial
}

// openReleases opens the card that this board runs from.
func openReleases(log *slog.Logger, n *news, t update.Target, v *vitals, restart func()) (*releases, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	_, set, err := update.Running(string(line))
	if err != nil {
		return nil, err
	}
	disk, err := rootDisk("/")
	if err != nil {
		return nil, err
	}
	device, err := update.OpenDevice(filepath.Join("/dev", filepath.Base(disk)), false)
	if err != nil {
		return nil, err
	}
	card, err := update.Open(device, set)
	if err != nil {
		_ = device.Close()
		return nil, err
	}
	s, err := card.State()
	if err != nil {
		_ = device.Close()
		return nil, err
	}
	log.Info("release", "version", s.Version, "set", string(rune(s.Running)), "on_trial", s.Trying, "start", s.Boots)
	if s.Refused != 0 {
		log.Warn("an update was tried and never became healthy: the release before it runs", "refused_version", s.Refused)
	}
	name := ""
	if m, err := card.Manifest(s.Running); err == nil {
		name = m.Name
	}
	n.running(s, name, updateKey(log))
	return &releases{log: log, news: n, card: card, device: device, target: t, vitals: v, restart: restart, trial: trial{trying: s.Trying}}, nil
}

// Run follows the release until ctx ends.
func (r *releases) Run(ctx context.Context) {
	defer r.device.Close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		verdict, _ := r.vitals.stand()
		switch r.trial.look(r.vitals.now(), verdict.State) {
		case keep:
			if err := r.card.Commit(); err != nil {
				r.log.Error("keeping this release: " + err.Error())
			} else if r.trial.trying {
				r.log.Info("the update works, and is kept")
				r.news.kept()
			}
		case giveUp:
			r.log.Error("the update did not become healthy in time: going back", "state", string(verdict.State), "reason", verdict.Reason)
			if err := r.card.Refuse(); err != nil {
				r.log.Error(err.Error())
			}
			r.news.wentBack("state " + string(verdict.State) + ": " + verdict.Reason)
			r.restart()
			return
		}
		if r.install() {
			r.restart()
			return
		}
	}
}

// install takes an update that has arrived, and says whether one is to be tried.
func (r *releases) install() bool {
	f, err := os.OpenFile(incoming, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	defer func() {
		if err := os.Remove(incoming); err != nil {
			r.log.Error("update: " + err.Error())
		}
	}()
	if err != nil {
		r.log.Error("update: " + err.Error())
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		r.log.Error("update: what arrived is not a file")
		return false
	}
	m, err := r.take(f)
	if err != nil {
		r.log.Error(err.Error())
		r.news.became(m, release.Refused, err.Error())
		return false
	}
	r.log.Warn("update installed; it is tried now", "version", m.Version, "name", m.Name)
	r.news.became(m, release.Installed, "")
	return true
}

func (r *releases) take(f *os.File) (release.Manifest, error) {
	key, err := release.ReadKey(release.KeyFile)
	if err != nil {
		return release.Manifest{}, err
	}
	m, err := r.card.Install(f, key, r.target)
	if err != nil {
		return m, fmt.Errorf("nothing is installed: %w", err)
	}
	return m, nil
}
