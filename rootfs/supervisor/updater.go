package supervisor

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"aead.dev/minisign"
	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// Card has the release that runs and the place of the next one.
type Card interface {
	Commit() error // the running release is healthy
	Refuse() error // the running release, which is on trial, is rolled back at the next start
	Install(file io.ReadSeeker, key minisign.PublicKey, t update.Target) (release.Manifest, error)
}

// Updater keeps or rolls back the release that runs, and installs the next one.
type Updater struct {
	Log      *slog.Logger
	Card     Card
	Target   update.Target
	OnTrial  bool // the release that runs
	Vitals   *Vitals
	Status   *ReleaseStatus
	Incoming string           // file in which the role leaves an update; installed only if it is signed
	Running  release.Manifest // of the release that runs, whose key of updates comes first
	KeyFile  string           // public key of updates
	Restart  func()           // restarts the board

	trial trial
}

// Run follows the release until ctx ends or the board is to restart.
func (u *Updater) Run(ctx context.Context) {
	u.trial = trial{onTrial: u.OnTrial}
	tick := time.NewTicker(judgeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if u.judge() || u.install() {
			u.Restart()
			return
		}
	}
}

// judge acts on how the release does, and reports whether the board has to restart.
func (u *Updater) judge() (restart bool) {
	verdict, _ := u.Vitals.Current()
	switch u.trial.decide(u.Vitals.Uptime(), verdict.State) {
	case commit:
		if err := u.Card.Commit(); err != nil {
			u.Log.Error("release not kept", "error", err)
		} else if u.OnTrial {
			u.Log.Info("update kept: the new release is healthy")
			u.Status.committed()
		}
	case rollBack:
		u.Log.Error("update rolled back: the new release did not become healthy in time",
			"state", string(verdict.State), "error", verdict.Reason)
		if err := u.Card.Refuse(); err != nil {
			u.Log.Error("rollback not recorded on the card", "error", err)
		}
		u.Status.rolledBack("state " + string(verdict.State) + ": " + verdict.Reason)
		return true
	}
	return false
}

// install installs an update that has arrived, and reports whether one is to be
// tried.
func (u *Updater) install() bool {
	f, err := os.OpenFile(u.Incoming, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	defer func() {
		if err := os.Remove(u.Incoming); err != nil {
			u.Log.Error("update not removed", "error", err)
		}
	}()
	if err != nil {
		u.Log.Error("update not opened", "error", err)
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		u.Log.Error("update refused", "error", "not a regular file")
		return false
	}
	m, err := u.installFile(f)
	if err != nil {
		u.Log.Error("update refused", "error", err)
		u.Status.refused(m, err)
		return false
	}
	u.Log.Warn("update installed; restarting to try it", "version", m.Version, "name", m.Name)
	u.Status.installed(m)
	return true
}

func (u *Updater) installFile(f io.ReadSeeker) (release.Manifest, error) {
	key, err := release.CurrentKey(u.Running, u.KeyFile)
	if err != nil {
		return release.Manifest{}, err
	}
	return u.Card.Install(f, key, u.Target)
}
