// Package health decides, in one place, the state of a board: what its LED shows,
// whether the watchdog is fed, whether the link is reported lost.
//
// It decides from evidence alone. A role proves that it works by counters that its
// parts raise as they make progress; a board whose counters do not rise is left to
// the watchdog, even if its process still runs. A role that has nothing to do raises
// them all the same, so silence of the plant, of the link or of IT never resets a
// board.
//
// The state is the worst that applies; a single LED repeats its pattern:
//
//	Invalid   6 flashes           the configuration: no restart would help
//	Stuck     dark                no progress: the watchdog is not fed
//	Ended     4 Hz                the role ended, and is restarted
//	Starting  5 Hz, faint         no report yet
//	LinkLost  5 flashes           RX receives no frames; TX transmits none
//	PeerDown  2 flashes           a server, broker or collector is away
//	Waiting   0.5 Hz              an initial snapshot is not complete
//	Degraded  1 flash             frames are lost, or had to be repaired; the disk is
//	                              nearly full, or keeps nothing over a restart
//	Good      lit, blinks once a second
//
// The patterns stay apart from those of the Raspberry Pi's boot ROM, which
// flashes 3, 4 and 7 to 10 times, or 2 to 4 times long before short ones.
//
// The package is pure: time is an argument, counted from the start of the
// board. Not safe for concurrent use.
package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Our own choices.
const (
	// StartTimeout is how long a role may take until its first report.
	StartTimeout = 2 * time.Minute
	// ProgressTimeout is how long a part may make no progress, and a report be missing.
	ProgressTimeout = 15 * time.Second
	// EndedTimeout is how long a role may keep ending before the board is reset, which
	// helps against what only a reset clears, such as a hung device.
	EndedTimeout = 10 * time.Minute
	// degradedFor is how long damage on the link is shown after the last of it.
	degradedFor = 10 * time.Second
)

// State is the state of a board.
type State string

// The states, worst first.
const (
	Invalid  State = "CONFIGURATION"
	Stuck    State = "STUCK"
	Ended    State = "RESTARTING"
	Starting State = "STARTING"
	LinkLost State = "LINK LOST"
	PeerDown State = "PEER DOWN"
	Waiting  State = "WAITING"
	Degraded State = "DEGRADED"
	Good     State = "GOOD"
)

// Evidence is what a role reports about itself each second.
type Evidence struct {
	Steps    map[string]uint64 `json:"steps"`               // of each part, by name; they rise while it works
	LinkLost string            `json:"link_lost,omitempty"` // why; "" while the link works
	Down     []string          `json:"down,omitempty"`      // peers that are away, with the reason
	Waiting  string            `json:"waiting,omitempty"`   // why an initial snapshot is not complete; "" when all are
	Disk     string            `json:"disk,omitempty"`      // why state may be lost; "" while it may not
	Damage   uint64            `json:"damage"`              // frames that were lost or repaired, since the start
}

// Verdict is what follows from the evidence.
type Verdict struct {
	State  State
	Reason string // in words; "" when all is well
	// Pattern is what the LED repeats: on, off, on, off …; one time alone is
	// steady light, none is darkness.
	Pattern []time.Duration
	Feed    bool // the watchdog
	Alarm   bool // the link is lost
}

// Judge judges one role. The zero value has no evidence and starts at time 0.
type Judge struct {
	process State // Starting, Good while it runs, Ended or Invalid
	why     string
	since   time.Duration // in which it is so; the first of several ends in a row

	reported  bool
	last      time.Duration // of the last report
	parts     map[string]part
	evidence  Evidence
	damagedAt time.Duration
	damaged   bool
}

type part struct {
	steps uint64
	at    time.Duration // when they last rose
}

// Started notes that the role was started.
func (j *Judge) Started(now time.Duration) {
	if j.process != Ended {
		j.since = now
	}
	j.process, j.why = Starting, ""
	j.reported, j.last, j.parts, j.evidence, j.damaged = false, now, nil, Evidence{}, false
}

// Ended notes that the role ended, and will be restarted.
func (j *Judge) Ended(now time.Duration, why string) {
	if j.process == Good || j.process == "" {
		j.since = now
	}
	j.process, j.why = Ended, why
}

// Invalid notes that the role refuses its configuration.
func (j *Judge) Invalid(why string) { j.process, j.why = Invalid, why }

// Report adds a role's evidence.
func (j *Judge) Report(now time.Duration, e Evidence) {
	if j.process == Starting || j.process == "" {
		j.process, j.since = Good, now
	}
	parts := make(map[string]part, len(e.Steps))
	for name, steps := range e.Steps {
		before, known := j.parts[name]
		if known && before.steps == steps {
			parts[name] = before
		} else {
			parts[name] = part{steps, now}
		}
	}
	if j.reported && e.Damage > j.evidence.Damage {
		j.damaged, j.damagedAt = true, now
	}
	j.reported, j.last, j.parts, j.evidence = true, now, parts, e
}

// Verdict returns the state at a time.
func (j *Judge) Verdict(now time.Duration) Verdict {
	state, reason := j.state(now)
	v := Verdict{State: state, Reason: reason, Pattern: patterns[state], Feed: true, Alarm: state == LinkLost}
	switch state {
	case Stuck:
		v.Feed = false
	case Ended:
		v.Feed = now-j.since < EndedTimeout
	}
	return v
}

func (j *Judge) state(now time.Duration) (State, string) {
	switch {
	case j.process == Invalid || j.process == Ended:
		return j.process, j.why
	case !j.reported && now-j.last < StartTimeout:
		return Starting, "no report yet"
	case !j.reported:
		return Stuck, fmt.Sprintf("no report for %s since the start", (now - j.last).Round(time.Second))
	case now-j.last >= ProgressTimeout:
		return Stuck, fmt.Sprintf("no report for %s", (now - j.last).Round(time.Second))
	}
	for _, name := range slices.Sorted(maps.Keys(j.parts)) {
		if still := now - j.parts[name].at; still >= ProgressTimeout {
			return Stuck, fmt.Sprintf("%s makes no progress for %s", name, still.Round(time.Second))
		}
	}
	switch e := &j.evidence; {
	case e.LinkLost != "":
		return LinkLost, e.LinkLost
	case len(e.Down) > 0:
		return PeerDown, strings.Join(e.Down, "; ")
	case e.Waiting != "":
		return Waiting, e.Waiting
	case e.Disk != "":
		return Degraded, e.Disk
	case j.damaged && now-j.damagedAt < degradedFor:
		return Degraded, "frames were lost on the link, or had to be repaired"
	}
	return Good, ""
}
