// Package health decides, in one place, how a board stands: what its LED
// shows, whether the watchdog is fed, whether the link is reported lost.
//
// It decides from evidence alone. A role proves that it works by counters that
// its parts raise as they go round; a board whose counters stand still is left
// to the watchdog, however alive it looks otherwise. A role that has nothing to
// do raises them all the same, so silence of the plant, of the link or of IT
// never resets a board.
//
// States, the worst that applies; a single LED repeats their pattern:
//
//	Invalid   6 flashes           the configuration: no restart would help
//	Stuck     dark                no progress: the watchdog is not fed
//	Ended     4 Hz                the role ended, and is started again
//	Starting  5 Hz, faint         no report yet
//	LinkLost  5 flashes           RX hears nothing; TX's frames do not leave
//	PeerDown  2 flashes           a server, broker or collector is away
//	Waiting   0.5 Hz              the initial snapshot is not complete
//	Degraded  1 flash             frames are lost, or had to be repaired
//	Good      lit, winks each 1 s
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
	// BootPatience is how long a role may take until its first report.
	BootPatience = 2 * time.Minute
	// Patience is how long a part may stand still, and a report be missing.
	Patience = 15 * time.Second
	// EndedPatience is how long a role may keep ending before the board is reset:
	// that helps against what only a reset clears, a hung device as a rule.
	EndedPatience = 10 * time.Minute
	// degradedFor is how long damage on the link is shown after the last of it.
	degradedFor = 10 * time.Second
)

// State is how a board stands.
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

// Evidence is what a role says of itself, each second.
type Evidence struct {
	Steps    map[string]uint64 `json:"steps"`               // of each part, by name; they rise while it works
	LinkLost string            `json:"link_lost,omitempty"` // why; "" while the link works
	Down     []string          `json:"down,omitempty"`      // peers that are away, with the reason
	Waiting  string            `json:"waiting,omitempty"`   // why the initial snapshot is not complete; "" when it is
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

// Judge follows one role. The zero value has seen nothing and starts at time 0.
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

// Started says that the role was started.
func (j *Judge) Started(now time.Duration) {
	if j.process != Ended {
		j.since = now
	}
	j.process, j.why = Starting, ""
	j.reported, j.last, j.parts, j.evidence, j.damaged = false, now, nil, Evidence{}, false
}

// Ended says that the role ended, and will be started again.
func (j *Judge) Ended(now time.Duration, why string) {
	if j.process == Good || j.process == "" {
		j.since = now
	}
	j.process, j.why = Ended, why
}

// Invalid says that the role refuses its configuration.
func (j *Judge) Invalid(why string) { j.process, j.why = Invalid, why }

// Report takes a role's evidence.
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

// Verdict judges.
func (j *Judge) Verdict(now time.Duration) Verdict {
	state, reason := j.state(now)
	v := Verdict{State: state, Reason: reason, Pattern: patterns[state], Feed: true, Alarm: state == LinkLost}
	switch state {
	case Stuck:
		v.Feed = false
	case Ended:
		v.Feed = now-j.since < EndedPatience
	}
	return v
}

func (j *Judge) state(now time.Duration) (State, string) {
	switch {
	case j.process == Invalid || j.process == Ended:
		return j.process, j.why
	case !j.reported && now-j.last < BootPatience:
		return Starting, "no report yet"
	case !j.reported:
		return Stuck, fmt.Sprintf("no report since the start, for %s", (now - j.last).Round(time.Second))
	case now-j.last >= Patience:
		return Stuck, fmt.Sprintf("no report for %s", (now - j.last).Round(time.Second))
	}
	for _, name := range slices.Sorted(maps.Keys(j.parts)) {
		if still := now - j.parts[name].at; still >= Patience {
			return Stuck, fmt.Sprintf("%s stands still for %s", name, still.Round(time.Second))
		}
	}
	switch e := &j.evidence; {
	case e.LinkLost != "":
		return LinkLost, e.LinkLost
	case len(e.Down) > 0:
		return PeerDown, strings.Join(e.Down, "; ")
	case e.Waiting != "":
		return Waiting, e.Waiting
	case j.damaged && now-j.damagedAt < degradedFor:
		return Degraded, "frames are lost on the link, or had to be repaired"
	}
	return Good, ""
}
