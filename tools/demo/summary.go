package demo

import (
	"fmt"
	"slices"
	"time"
)

// Summary is what a demo has shown, for machines too.
type Summary struct {
	Medium          string                    `json:"medium"`
	DurationSeconds float64                   `json:"duration_seconds"`
	Loss            float64                   `json:"loss"`
	Corrupt         float64                   `json:"corrupt"`
	Channels        map[string]ChannelSummary `json:"channels"`
	Link            LinkSummary               `json:"link"`
	Latency         Latency                   `json:"latency_ms"`
	OK              bool                      `json:"ok"`
	Reasons         []string                  `json:"reasons"`
}

// ChannelSummary counts what the plant sent and what its clients on IT's side got.
type ChannelSummary struct {
	Sent       uint64 `json:"sent"`
	Arrived    uint64 `json:"delivered"`
	Conflated  uint64 `json:"conflated"` // values that newer ones replaced on the way
	Lost       uint64 `json:"lost"`      // never arrived
	OutOfOrder uint64 `json:"out_of_order"`
	Altered    uint64 `json:"altered"`
}

// LinkSummary is what the receiver counted.
type LinkSummary struct {
	Frames    uint64 `json:"frames"`
	CRCErrors uint64 `json:"crc_errors"`
	Repaired  uint64 `json:"repaired"`
	Lost      uint64 `json:"lost"`
}

// Latency is from the plant's device to IT's client, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Summary returns how things stand.
func (d *Demo) Summary() Summary {
	s := Summary{
		Medium: d.Medium, DurationSeconds: time.Since(d.began).Seconds(), Loss: d.Loss, Corrupt: d.Corrupt,
		Channels: map[string]ChannelSummary{}, Reasons: []string{},
	}
	sent := []uint64{d.brokers[0].Sent(), d.brokers[1].Sent(), d.devices[0].Sent(), d.devices[1].Sent(),
		d.server.Sent()}
	rx := d.status(&d.gateway.RX)
	var all []time.Duration
	for i, name := range channelNames {
		a := d.arrivals[name]
		a.mu.Lock()
		c := ChannelSummary{Sent: sent[i], Arrived: a.arrived, OutOfOrder: a.outOfOrder, Altered: a.altered}
		all = append(all, a.latencies...)
		a.mu.Unlock()
		c.Lost = c.Sent - min(c.Sent, c.Arrived)
		if name == d.watcher.name { // a value is state: the newest one of each tag counts
			c.Conflated, c.Lost = c.Lost, d.watcher.outdated(d.server.Newest)+rx.Channels[name].Lost
			c.Conflated -= min(c.Conflated, c.Lost)
		}
		s.Channels[name] = c
		for what, n := range map[string]uint64{"lost": c.Lost, "out of order": c.OutOfOrder, "altered": c.Altered} {
			if n > 0 {
				s.Reasons = append(s.Reasons, fmt.Sprintf("%s: %d %s of %d", name, n, what, c.Sent))
			}
		}
		if c.Sent == 0 {
			s.Reasons = append(s.Reasons, name+": nothing was sent")
		}
	}
	slices.Sort(s.Reasons)
	l := rx.Link
	s.Link = LinkSummary{Frames: l.Frames, CRCErrors: l.CRCErrors, Repaired: l.Repaired, Lost: l.Lost}
	slices.Sort(all)
	if n := len(all); n > 0 {
		s.Latency = Latency{P50: milliseconds(all[n/2]), P99: milliseconds(all[n*99/100])}
	}
	s.OK = len(s.Reasons) == 0
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Lines returns the summary for people.
func (s Summary) Lines() (lines []string) {
	lines = append(lines, fmt.Sprintf("%.0f s over %s with %g%% loss and %g%% corruption:", s.DurationSeconds, s.Medium,
		s.Loss*100, s.Corrupt*100))
	for _, name := range channelNames {
		c := s.Channels[name]
		lines = append(lines, fmt.Sprintf("  %-12s sent %d, arrived %d, conflated %d, lost %d, out of order %d, "+
			"altered %d", name, c.Sent, c.Arrived, c.Conflated, c.Lost, c.OutOfOrder, c.Altered))
	}
	return append(lines,
		fmt.Sprintf("  %-12s %d frames, %d repaired, %d bad CRC, %d beyond repair", "link", s.Link.Frames,
			s.Link.Repaired, s.Link.CRCErrors, s.Link.Lost),
		fmt.Sprintf("  %-12s p50 %.1f ms, p99 %.1f ms", "latency", s.Latency.P50, s.Latency.P99))
}
