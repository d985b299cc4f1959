package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// The outcome of an update is told to the role, and survives the restarts in between:
// the initramfs may give a release up without this program ever running.
func TestOutcomeOfAnUpdateIsTold(t *testing.T) {
	eight := release.Manifest{Version: 8, Name: "v8"}
	for _, tt := range []struct {
		name   string
		before func(*news)
		card   update.State // at the next start
		after  func(*news)
		want   release.Outcome
	}{
		{"refused", func(n *news) { n.became(eight, release.Refused, "no room") }, update.State{Version: 7, Floor: 7}, nil, release.Outcome{Version: 8, Name: "v8", Result: release.Refused, Reason: "no room"}},
		{"on trial", func(n *news) { n.became(eight, release.Installed, "") }, update.State{Version: 8, Trying: true, Pending: 8, Floor: 7}, nil, release.Outcome{Version: 8, Name: "v8", Result: release.Installed}},
		{"kept", func(n *news) { n.became(eight, release.Installed, "") }, update.State{Version: 8, Trying: true, Pending: 8, Floor: 7}, func(n *news) { n.kept() }, release.Outcome{Version: 8, Name: "now", Result: release.Kept}},
		{"kept, and the power cut before it was told", func(n *news) { n.became(eight, release.Installed, "") }, update.State{Version: 8, Floor: 8}, nil, release.Outcome{Version: 8, Name: "now", Result: release.Kept}},
		{"given up by the initramfs", func(n *news) { n.became(eight, release.Installed, "") }, update.State{Version: 7, Floor: 7, Refused: 8}, nil, release.Outcome{Version: 8, Name: "v8", Result: release.WentBack, Reason: "it was tried and never became healthy"}},
		{"given up here", func(n *news) { n.became(eight, release.Installed, "") }, update.State{Version: 8, Trying: true, Pending: 8, Floor: 7}, func(n *news) { n.wentBack("state stuck") }, release.Outcome{Version: 8, Name: "v8", Result: release.WentBack, Reason: "state stuck"}},
		{"one of long ago", func(n *news) { n.became(eight, release.Kept, "") }, update.State{Version: 9, Floor: 9, Refused: 8}, nil, release.Outcome{Version: 8, Name: "v8", Result: release.Kept}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			start := func() *news {
				n := &news{log: slog.New(slog.DiscardHandler), stateFile: filepath.Join(folder, "state.json"), outcome: filepath.Join(folder, "outcome"),
					state: release.State{Role: "tx", Board: "cm4"}}
				n.recall()
				return n
			}
			tt.before(start())
			n := start()
			n.running(tt.card, "now", "a key")
			if tt.after != nil {
				tt.after(n)
			}
			got, err := release.ReadState(n.stateFile)
			if err != nil || got.Update == nil {
				t.Fatalf("got %+v, %v", got, err)
			}
			got.Update.Time = tt.want.Time
			if *got.Update != tt.want || got.Version != tt.card.Version || got.Role != "tx" || got.Board != "cm4" || got.Key != "a key" {
				t.Errorf("got %+v of %+v, want %+v", *got.Update, got, tt.want)
			}
			if trying := tt.card.Trying && tt.want.Result != release.Kept; got.OnTrial != trying {
				t.Errorf("got on trial %t, want %t", got.OnTrial, trying)
			}
		})
	}
}

func TestBoardWithoutSetsSaysWhyNoUpdateIsPossible(t *testing.T) {
	n := &news{log: slog.New(slog.DiscardHandler), stateFile: filepath.Join(t.TempDir(), "state.json")}
	n.impossible(errors.New("no root slot"))
	if got, err := release.ReadState(n.stateFile); err != nil || got.Fault != "no update is possible: no root slot" || n.now().Fault != got.Fault {
		t.Errorf("got %+v, %v", got, err)
	}
}
