package node

import (
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/receive"
)

// measurement returns what the status server shows of what is measured of the link.
func measurement(m pipeline.Measurement) *status.Measurement {
	var frames, delays []float64
	for _, bound := range receive.BurstBounds() {
		frames = append(frames, float64(bound))
	}
	for _, bound := range pipeline.DelayBounds() {
		delays = append(delays, bound.Seconds())
	}
	s := &status.Measurement{
		Sequence: m.Sequence, TransmitterUptimeSeconds: m.Uptime.Seconds(),
		Expected: m.Losses.Expected, Missing: m.Losses.Missing, Late: m.Losses.Late,
		Bursts: status.Histogram{Bounds: frames, Counts: m.Losses.Bursts[:]},
		Delay: status.Histogram{Bounds: delays, Counts: m.Delays.Counts[:],
			Sum: status.Of(m.Delays.Sum.Seconds())},
	}
	for i, r := range m.Repairs {
		s.Classes = append(s.Classes, status.ClassRepairs{
			Class: wire.Class(i).String(), Needed: status.Histogram{Bounds: frames, Counts: r.Needed[:]},
			Beyond: r.Beyond,
		})
	}
	return s
}
