package supervisor

import (
	"context"
	"log/slog"
	"time"

	"heliograph/firmware/platform/health"
)

// Our own choices.
const (
	// healthyTime is how long a role has to work before its release is kept.
	healthyTime = 30 * time.Second
	// trialTime is how long a release on trial has to begin to work.
	trialTime = 5 * time.Minute
)

// decision is what follows for the release that runs.
type decision int

const (
	undecided decision = iota
	commit             // it is healthy: its starts need not be counted any more
	rollBack           // it is on trial and did not become healthy in time
)

// trial judges the release that runs, from the same states as the LED. A lost link
// or a peer that is away is not held against a release: both may be down for hours.
type trial struct {
	onTrial bool
	healthy time.Duration // since when the role works; 0: it does not
	over    bool
}

func (t *trial) decide(now time.Duration, state health.State) decision {
	if t.over {
		return undecided
	}
	switch state {
	case health.Invalid, health.Stuck, health.Ended, health.Starting:
		t.healthy = 0
		if t.onTrial && now >= trialTime {
			t.over = true
			return rollBack
		}
		return undecided
	}
	if t.healthy == 0 {
		t.healthy = max(now, 1)
	}
	if now-t.healthy < healthyTime {
		return undecided
	}
	t.over = true
	return commit
}

// EndTrial restarts the board after the time of a trial, even if the role works: where the
// card cannot be opened, nothing can keep the release or roll it back. The firmware then
// takes the committed release, which tries the other one again as often as any.
func EndTrial(ctx context.Context, log *slog.Logger, restart func()) {
	log.Error("this release is on trial and cannot be kept; restarting for the release before it",
		"after", trialTime.String())
	select {
	case <-ctx.Done():
	case <-time.After(trialTime):
		restart()
	}
}
