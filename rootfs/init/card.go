package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/bootloader"
	"heliograph/rootfs/supervisor"
	"heliograph/rootfs/update"
)

// startUpdater follows the release that runs and installs the next one.
func (b *board) startUpdater(ctx context.Context, running *sync.WaitGroup, t update.Target,
	v *supervisor.Vitals) *supervisor.ReleaseStatus {
	log := b.component("update")
	status := supervisor.NewReleaseStatus(log, supervisor.ReleaseFiles{State: release.StateFile,
		Outcome: "/data/update"}, t)
	incoming := stateFolder + "/update/incoming"
	card, err := openCard()
	if err != nil {
		log.Error("updates unavailable", "error", err)
		_ = os.Remove(incoming) // one that waits would wait for ever
		status.SetUnavailable(err)
		b.endTrial(ctx, running, log)
		return status
	}
	card.publish(log, status)
	u := &supervisor.Updater{
		Log: log, Card: card, Target: t, OnTrial: card.state.Trying, Vitals: v, Status: status,
		Incoming: incoming, Running: card.manifest, KeyFile: release.KeyFile, Restart: b.restart,
	}
	running.Go(func() { defer card.device.Close(); u.Run(ctx) })
	return status
}

// endTrial restarts the board after the time of a trial if this start is one: without the
// card no updater keeps or rolls back the release.
func (b *board) endTrial(ctx context.Context, running *sync.WaitGroup, log *slog.Logger) {
	if os.Getenv(update.TrialVariable) != "" {
		running.Go(func() { supervisor.EndTrial(ctx, log, b.restart) })
	}
}

// card is the card that this board runs from.
type card struct {
	*update.Card
	device   update.Device
	state    update.State
	manifest release.Manifest // of the release that runs; empty when it is damaged
}

// openCard opens the card that this board runs from.
func openCard() (*card, error) {
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
	c := &card{device: device}
	if c.Card, err = update.Open(device, set); err == nil {
		c.state, err = c.State()
	}
	if err != nil {
		_ = device.Close()
		return nil, err
	}
	if m, err := c.Manifest(c.state.Running); err == nil {
		c.manifest = m
	}
	return c, nil
}

// publish logs and publishes which release runs.
func (c *card) publish(log *slog.Logger, status *supervisor.ReleaseStatus) {
	s := c.state
	log.Info("release", "version", s.Version, "set", string(rune(s.Running)), "on_trial", s.Trying, "start", s.Boots)
	boot := bootloader.Read(os.DirFS("/"))
	log.Info("boot loader", "built", boot.String(), "trial", boot.Trial)
	if advice := boot.Advice(); advice != "" {
		log.Error("updates unavailable", "error", advice)
	}
	if s.Refused != 0 {
		log.Warn("the release before an update runs: the update was given up", "error", s.Fate,
			"refused_version", s.Refused)
	}
	status.SetRunning(supervisor.Running{Card: s, Name: c.manifest.Name, Key: c.updateKey(log), Boot: boot})
}

// updateKey returns the key of updates as the role gets it, "" if this card has
// none.
func (c *card) updateKey(log *slog.Logger) string {
	key, err := release.CurrentKey(c.manifest, release.KeyFile)
	if err != nil {
		log.Warn("updates refused", "error", err)
		return ""
	}
	text, err := key.MarshalText()
	if err != nil {
		log.Error("updates refused", "error", err)
	}
	return string(text)
}
