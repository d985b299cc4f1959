package status

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// MaxHoles is how many holes a channel shows.
const MaxHoles = 20

// Hole is a run of records of a channel that have not arrived. Its times are those of
// RX's clock.
type Hole struct {
	From    time.Time `json:"from"`    // when the record before it arrived; zero: not known
	To      time.Time `json:"to"`      // when the one after it did; zero: not known
	Records uint64    `json:"records"` // that are missing still
	Final   bool      `json:"final"`   // TX cannot send them again: they are lost for good
}

// Replay is what can be sent again, so that outages of the link heal.
type Replay struct {
	WindowSeconds float64  `json:"window_seconds"`         // everything that left within them can be sent again
	PassSeconds   *float64 `json:"pass_seconds,omitempty"` // that the last pass over the window took; nil: none has ended
}

// Heals says in words which outages heal, and how fast: a pass that has begun when
// the link returns may be past what was lost, so that the next one brings it.
func (r Replay) Heals() string {
	if r.WindowSeconds == 0 {
		return `outages do not heal: TX keeps nothing to send again ([replay] memory)`
	}
	text := "an outage of up to " + Rounded(r.WindowSeconds) + " heals"
	if r.PassSeconds == nil {
		return text
	}
	return text + " within " + Rounded(math.Ceil(2*max(*r.PassSeconds, 1))) + " of the link's return"
}

// Rounded writes a duration of some seconds in the two units that matter.
func Rounded(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// Healing says in words which outages heal.
func (s *Snapshot) Healing() string {
	switch {
	case s.Replay != nil:
		return s.Replay.Heals()
	case s.Role == "tx":
		return `outages do not heal: [replay] memory is "0"`
	case s.Link.Frames == 0:
		return "which outages heal is not known yet: nothing has been received from TX"
	}
	return "outages do not heal: TX has not said that it sends anything again"
}

// Missing is how much is missing of all channels at RX, in records.
type Missing struct {
	Holes  uint64 // that are open
	Open   uint64 // records in them
	Final  uint64 // records that do not come again, unknown ones included
	Healed uint64 // records that were missing, and have come after all
}

// Missing adds up what is missing.
func (s *Snapshot) Missing() (m Missing) {
	for _, c := range s.Channels {
		lost, open := value(c.Lost)+value(c.Unknown), value(c.OpenRecords)
		m.Holes += value(c.OpenHoles)
		m.Open += open
		m.Final += lost - min(lost, open)
		m.Healed += value(c.Healed)
	}
	return m
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// ChannelHole is a hole with the name of its channel.
type ChannelHole struct {
	Channel string
	Hole
}

// Lasted returns for how long records are missing, in words. A receiver that remembers
// nothing, or that was killed, does not know since when: both times are the same.
func (h Hole) Lasted() string {
	if h.From.IsZero() || !h.To.After(h.From) {
		return "not known"
	}
	return Rounded(math.Ceil(h.To.Sub(h.From).Seconds()))
}

// newestHoles returns the newest holes of all channels, newest first, those that are
// open before those that are final.
func newestHoles(s Snapshot) (list []ChannelHole) {
	for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
		for _, h := range s.Channels[name].Holes {
			list = append(list, ChannelHole{name, h})
		}
	}
	slices.SortStableFunc(list, func(a, b ChannelHole) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.From.Compare(a.From))
	})
	return list[:min(len(list), MaxHoles)]
}

func rank(h ChannelHole) int {
	if h.Final {
		return 1
	}
	return 0
}
