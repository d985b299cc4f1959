package main

import (
	"time"

	"heliograph/firmware/platform/health"
)

// Our own choices.
const (
	// healthyFor is how long a role has to work before its release is kept.
	healthyFor = 30 * time.Second
	// trialTime is how long an update has to get there.
	trialTime = 5 * time.Minute
)

// step is what follows for the release that runs.
type step int

const (
	carryOn step = iota
	keep         // it is healthy: no start of it needs to be counted any more
	giveUp       // it is on trial and did not become healthy in time
)

// trial judges the release that runs, from the same states as the LED. A lost link
// or a peer that is away says nothing about a release: both may be down for hours.
type trial struct {
	trying  bool
	healthy time.Duration // when it began to work; 0: it does not
	over    bool
}

func (t *trial) look(now time.Duration, state health.State) step {
	if t.over {
		return carryOn
	}
	switch state {
	case health.Invalid, health.Stuck, health.Ended, health.Starting:
		t.healthy = 0
		if t.trying && now >= trialTime {
			t.over = true
			return giveUp
		}
		return carryOn
	}
	if t.healthy == 0 {
		t.healthy = max(now, 1)
	}
	if now-t.healthy < healthyFor {
		return carryOn
	}
	t.over = true
	return keep
}
