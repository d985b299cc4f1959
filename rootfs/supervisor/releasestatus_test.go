package supervisor

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/bootloader"
	"heliograph/rootfs/update"
)

func newStatus(folder string) *ReleaseStatus {
	files := ReleaseFiles{State: filepath.Join(folder, "run", "state.json"), Outcome: filepath.Join(folder, "outcome")}
	return NewReleaseStatus(slog.New(slog.DiscardHandler), files, update.Target{Role: "tx", Board: "cm4"})
}

// The outcome of an update is published to the role, and survives the restarts in
// between: the initramfs may roll a release back without this program ever running.
func TestOutcomeOfAnUpdateIsPublished(t *testing.T) {
	eight := release.Manifest{Version: 8, Name: "v8"}
	installed := func(s *ReleaseStatus) { s.installed(eight) }
	trial := update.State{Version: 8, Trying: true, Pending: 8, Floor: 7}
	for name, tt := range map[string]struct {
		before func(*ReleaseStatus)
		card   update.State // at the next start
		after  func(*ReleaseStatus)
		want   release.Outcome
	}{
		"refused": {func(s *ReleaseStatus) { s.refused(eight, errors.New("no room")) },
			update.State{Version: 7, Floor: 7}, nil,
			release.Outcome{Version: 8, Name: "v8", Result: release.Refused, Reason: "no room"}},
		"on trial": {installed, trial, nil,
			release.Outcome{Version: 8, Name: "v8", Result: release.Installed}},
		"kept": {installed, trial, func(s *ReleaseStatus) { s.committed() },
			release.Outcome{Version: 8, Name: "now", Result: release.Kept}},
		"kept, and the power cut before that was published": {installed, update.State{Version: 8, Floor: 8}, nil,
			release.Outcome{Version: 8, Name: "now", Result: release.Kept}},
		"given up by the initramfs": {installed, update.State{Version: 7, Floor: 7, Refused: 8,
			Fate: "it is damaged on the card"}, nil,
			release.Outcome{Version: 8, Name: "v8", Result: release.RolledBack, Reason: "it is damaged on the card"}},
		"installed by a PC and given up by the initramfs": {func(s *ReleaseStatus) {
			s.record(release.Outcome{Version: 7, Name: "v7", Result: release.Kept})
		},
			update.State{Version: 7, Floor: 7, Refused: 9, Fate: "it is damaged on the card"}, nil,
			release.Outcome{Version: 9, Result: release.RolledBack, Reason: "it is damaged on the card"}},
		"given up, and nothing was known": {func(*ReleaseStatus) {},
			update.State{Version: 8, Floor: 8, Refused: 9, Fate: update.NeverBegan}, nil,
			release.Outcome{Version: 9, Result: release.RolledBack, Reason: update.NeverBegan}},
		"kept, and left because it is damaged": {func(s *ReleaseStatus) {
			s.record(release.Outcome{Version: 8, Name: "v8", Result: release.Kept})
		},
			update.State{Version: 7, Floor: 8, Refused: 8, Fate: "it is damaged on the card"}, nil,
			release.Outcome{Version: 8, Name: "v8", Result: release.RolledBack, Reason: "it is damaged on the card"}},
		"refused, after another was given up": {func(s *ReleaseStatus) {
			s.refused(release.Manifest{Version: 10}, errors.New("no room"))
		},
			update.State{Version: 8, Floor: 8, Refused: 9, Fate: update.NeverBegan}, nil,
			release.Outcome{Version: 10, Result: release.Refused, Reason: "no room"}},
		"rolled back here": {installed, trial, func(s *ReleaseStatus) { s.rolledBack("state stuck") },
			release.Outcome{Version: 8, Name: "v8", Result: release.RolledBack, Reason: "state stuck"}},
		"an old one": {func(s *ReleaseStatus) {
			s.record(release.Outcome{Version: 8, Name: "v8",
				Result: release.Kept})
		},
			update.State{Version: 9, Floor: 9, Refused: 8}, nil,
			release.Outcome{Version: 8, Name: "v8", Result: release.Kept}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			tt.before(newStatus(folder))
			s := newStatus(folder)
			s.SetRunning(Running{Card: tt.card, Name: "now", Key: "a key"})
			if tt.after != nil {
				tt.after(s)
			}
			got, err := release.ReadState(s.stateFile)
			if err != nil || got.Update == nil {
				t.Fatalf("got %+v, %v", got, err)
			}
			got.Update.Time = tt.want.Time
			if *got.Update != tt.want || got.Version != tt.card.Version || got.Role != "tx" || got.Board != "cm4" ||
				got.Key != "a key" {
				t.Errorf("got %+v of %+v, want %+v", *got.Update, got, tt.want)
			}
			if want := tt.card.Trying && tt.want.Result != release.Kept; got.OnTrial != want {
				t.Errorf("got on trial %t, want %t", got.OnTrial, want)
			}
		})
	}
}

// A boot loader that starts no trial is what the operator has to know of, not that the
// release was never healthy; and the next update is refused before it is stored.
func TestABootLoaderThatStartsNoTrialIsNamed(t *testing.T) {
	old := bootloader.Info{Built: time.Date(2020, time.September, 3, 12, 11, 43, 0, time.UTC)}
	recent := bootloader.Info{Built: time.Date(2023, time.January, 11, 0, 0, 0, 0, time.UTC)}
	healthy := "the firmware started it 3 times, and it never became healthy"
	for name, tt := range map[string]struct {
		boot         bootloader.Info
		fate, reason string
		fault        string
	}{
		"old, no trial began":       {old, update.NeverBegan, old.Advice(), noUpdate + old.Advice()},
		"old, and a trial began":    {old, healthy, healthy, noUpdate + old.Advice()},
		"new, no trial began":       {recent, update.NeverBegan, update.NeverBegan, ""},
		"not known, no trial began": {bootloader.Info{}, update.NeverBegan, update.NeverBegan, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStatus(t.TempDir())
			s.installed(release.Manifest{Version: 8})
			s.SetRunning(Running{Card: update.State{Version: 7, Refused: 8, Fate: tt.fate}, Boot: tt.boot})
			got := s.Current()
			if got.Update == nil || got.Update.Reason != tt.reason || got.Fault != tt.fault {
				t.Errorf("got %+v, fault %q; want reason %q, fault %q", got.Update, got.Fault, tt.reason, tt.fault)
			}
		})
	}
}

func TestReasonWhyNoUpdateIsPossibleIsPublished(t *testing.T) {
	s := newStatus(t.TempDir())
	s.SetUnavailable(errors.New("no root slot"))
	got, err := release.ReadState(s.stateFile)
	if err != nil || got.Fault != "no update is possible: no root slot" || s.Current().Fault != got.Fault {
		t.Errorf("got %+v, %v", got, err)
	}
}
