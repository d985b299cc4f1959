package main

import (
	"testing"
	"time"

	"heliograph/firmware/platform/health"
)

func TestTrials(t *testing.T) {
	type look struct {
		at    time.Duration
		state health.State
		want  step
	}
	const s = time.Second
	for _, tt := range []struct {
		name   string
		trying bool
		looks  []look
	}{
		{"healthy at once", true, []look{{s, health.Good, carryOn}, {30 * s, health.Good, carryOn}, {31 * s, health.Good, keep}, {32 * s, health.Good, carryOn}}},
		{"a lost link is no fault of the release", true, []look{{5 * s, health.LinkLost, carryOn}, {20 * s, health.PeerDown, carryOn}, {35 * s, health.Waiting, keep}}},
		{"an end in between starts over", true, []look{{5 * s, health.Good, carryOn}, {30 * s, health.Ended, carryOn}, {36 * s, health.Good, carryOn}, {66 * s, health.Good, keep}}},
		{"never healthy", true, []look{{0, health.Starting, carryOn}, {trialTime - 1, health.Ended, carryOn}, {trialTime, health.Ended, giveUp}, {trialTime + s, health.Ended, carryOn}}},
		{"late, but on its way", true, []look{{trialTime - s, health.Good, carryOn}, {trialTime + 10*s, health.Good, carryOn}, {trialTime + 29*s, health.Good, keep}}},
		{"not on trial: no time-out", false, []look{{0, health.Invalid, carryOn}, {10 * trialTime, health.Invalid, carryOn}, {10*trialTime + s, health.Good, carryOn}, {10*trialTime + 31*s, health.Good, keep}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := trial{trying: tt.trying}
			for _, l := range tt.looks {
				if got := j.look(l.at, l.state); got != l.want {
					t.Errorf("at %s, %s: got %d, want %d", l.at, l.state, got, l.want)
				}
			}
		})
	}
}
