package supervisor

import (
	"testing"
	"time"

	"heliograph/firmware/platform/health"
)

func TestTrials(t *testing.T) {
	type verdict struct {
		at    time.Duration
		state health.State
		want  decision
	}
	const s = time.Second
	for _, tt := range []struct {
		name     string
		onTrial  bool
		verdicts []verdict
	}{
		{"healthy at once", true, []verdict{{s, health.Good, undecided}, {30 * s, health.Good, undecided},
			{31 * s, health.Good, commit}, {32 * s, health.Good, undecided}}},
		{"a lost link is not held against the release", true,
			[]verdict{{5 * s, health.LinkLost, undecided}, {20 * s, health.PeerDown, undecided},
				{35 * s, health.Waiting, commit}}},
		{"an end in between starts over", true, []verdict{{5 * s, health.Good, undecided},
			{30 * s, health.Ended, undecided}, {36 * s, health.Good, undecided}, {66 * s, health.Good, commit}}},
		{"never healthy", true, []verdict{{0, health.Starting, undecided}, {trialTime - 1, health.Ended, undecided},
			{trialTime, health.Ended, rollBack}, {trialTime + s, health.Ended, undecided}}},
		{"late, but on its way", true, []verdict{{trialTime - s, health.Good, undecided},
			{trialTime + 10*s, health.Good, undecided}, {trialTime + 29*s, health.Good, commit}}},
		{"not on trial: no time-out", false, []verdict{{0, health.Invalid, undecided},
			{10 * trialTime, health.Invalid, undecided}, {10*trialTime + s, health.Good, undecided},
			{10*trialTime + 31*s, health.Good, commit}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := trial{onTrial: tt.onTrial}
			for _, l := range tt.verdicts {
				if got := j.decide(l.at, l.state); got != l.want {
					t.Errorf("at %s, %s: got %d, want %d", l.at, l.state, got, l.want)
				}
			}
		})
	}
}
