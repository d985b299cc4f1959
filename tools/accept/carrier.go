package accept

import (
	"fmt"
	"math"
	"time"
)

// Carrier is the carrier test: the receiver's end of the fibre is out for some seconds, and
// what TX sends afterwards shows that it went on.
type Carrier struct {
	Done        bool    `json:"done"`
	Reason      string  `json:"reason,omitempty"` // why not
	Passed      bool    `json:"passed"`
	DarkSeconds float64 `json:"dark_seconds,omitempty"`
	Frames      uint64  `json:"frames,omitempty"`            // that TX numbered meanwhile
	Rate        float64 `json:"frames_per_second,omitempty"` // of them
	Slowest     float64 `json:"slowest_before,omitempty"`    // frames a second, over as long a time with light
	Fastest     float64 `json:"fastest_before,omitempty"`
	Fault       string  `json:"fault,omitempty"` // why it did not pass

	proofs []Proof // of RX: before and after
}

// Our own choices.
const (
	LeastDark = 3 * time.Second // without a frame: the fibre is out, not the line idle
	// tolerance widens the range of rates that were seen with light: traffic varies.
	tolerance = 1.25
	// maxUptimeError is by how much TX's clock may differ from this one's over the test.
	maxUptimeError = 2 * time.Second
	// leastMissed is the share of the frames of LeastDark, at the slowest rate with light, that must not have
	// arrived: else it was not dark. Traffic varies.
	leastMissed = 0.5
)

// Dark finds the newest time without a frame in samples, oldest first: before is the last
// sample with light, after the first one again. found is false as long as there is none, or it
// has not ended.
func Dark(samples []Sample) (before, after int, found bool) {
	last := 0
	for i := 1; i < len(samples); i++ {
		if samples[i].Link.Frames == samples[last].Link.Frames {
			continue
		}
		if i > last+1 && samples[i-1].At.Sub(samples[last].At) >= LeastDark {
			before, after, found = last, i, true
		}
		last = i
	}
	return before, after, found
}

// IsDark says whether no frame has arrived for LeastDark.
func IsDark(samples []Sample) bool {
	n := len(samples)
	for i := n - 2; i >= 0; i-- {
		if samples[i].Link.Frames != samples[n-1].Link.Frames {
			return false
		}
		if samples[n-1].At.Sub(samples[i].At) >= LeastDark {
			return true
		}
	}
	return false
}

// JudgeCarrier compares the frames that TX numbered while it was dark with those that it
// sends with light. The sequence number needs no record to cross: each frame has it. Where RX
// signs, samples that it has not signed are left out.
func JudgeCarrier(light []Sample, before, after *Sample) Carrier {
	dark := after.At.Sub(before.At)
	if err := before.same(after); err != nil {
		return Carrier{Reason: err.Error()}
	}
	if dark <= 0 {
		return Carrier{Reason: "by RX's clock no time passed in the dark"}
	}
	c := Carrier{Done: true, DarkSeconds: dark.Seconds(), proofs: proofs(before, after)}
	counted := light
	if after.proof != nil {
		counted = signedOnly(light)
	}
	c.Slowest, c.Fastest = rateRange(counted, dark)
	uptime := time.Duration((transmitterClock(after) - transmitterClock(before)) * float64(time.Second))
	switch {
	case after.Link.Epoch != before.Link.Epoch:
		c.Fault = fmt.Sprintf("TX was restarted meanwhile: its epoch was %d and is %d", before.Link.Epoch,
			after.Link.Epoch)
		return c
	case after.Sequence < before.Sequence:
		c.Fault = "TX's frame numbers fell"
		return c
	}
	c.Frames = after.Sequence - before.Sequence
	c.Rate = float64(c.Frames) / dark.Seconds()
	arrived := less(after.Link.Frames, before.Link.Frames)
	switch {
	case (uptime - dark).Abs() > maxUptimeError:
		c.Fault = fmt.Sprintf("TX's clock went on by %.1f s in %.1f s", uptime.Seconds(), dark.Seconds())
	case c.Fastest == 0:
		return Carrier{Reason: tooShort(light, dark)}
	case c.Rate < c.Slowest/tolerance || c.Rate > c.Fastest*tolerance:
		c.Fault = fmt.Sprintf("TX sent %.1f frames a second in the dark, and %.1f to %.1f with light", c.Rate,
			c.Slowest,
			c.Fastest)
	case float64(less(c.Frames, arrived)) < max(1, leastMissed*LeastDark.Seconds()*c.Slowest):
		return Carrier{Reason: fmt.Sprintf("it was not dark: %d of the %d frames of these %.0f s arrived meanwhile",
			arrived, c.Frames, dark.Seconds())}
	default:
		c.Passed = true
	}
	return c
}

// tooShort says why samples that count show no rate over as long a time as it was dark.
func tooShort(light []Sample, dark time.Duration) string {
	if _, fastest := rateRange(light, dark); fastest > 0 {
		return fmt.Sprintf("it was dark for %.0f s, and RX signed nothing over as long a time before, for other "+
			"clients: find out who asks its status port for statements, or give more --minutes", dark.Seconds())
	}
	return fmt.Sprintf("it was dark for %.0f s, and the measurement before is to be longer than that: give more "+
		"--minutes", dark.Seconds())
}

// transmitterClock is TX's uptime at a sample in seconds: that of the newest heartbeat, and
// its age.
func transmitterClock(s *Sample) float64 {
	if age := s.Link.LastHeartbeatAgeSeconds; age != nil {
		return s.TransmitterUptimeSeconds + *age
	}
	return s.TransmitterUptimeSeconds
}

// rateRange returns the lowest and the highest rate at which TX numbers frames, over about as
// long as a time.
func rateRange(samples []Sample, over time.Duration) (slowest, fastest float64) {
	slowest = math.Inf(1)
	first := 0
	for i := range samples {
		for samples[i].At.Sub(samples[first].At) >= over {
			a, b := &samples[first], &samples[i]
			if a.Link.Epoch == b.Link.Epoch && b.Sequence >= a.Sequence {
				rate := float64(b.Sequence-a.Sequence) / b.At.Sub(a.At).Seconds()
				slowest, fastest = min(slowest, rate), max(fastest, rate)
			}
			first++
		}
	}
	if fastest == 0 {
		return 0, 0
	}
	return slowest, fastest
}
