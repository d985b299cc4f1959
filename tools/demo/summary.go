package demo

import (
	"fmt"
	"slices"
	"time"

	"heliograph/tools/pair"
)

// Summary is what a demo has shown, for machines too.
type Summary struct {
	Medium          string                    `json:"medium"`
	DurationSeconds float64                   `json:"duration_seconds"`
	Loss            float64                   `json:"loss"`
	Corrupt         float64                   `json:"corrupt"`
	Channels        map[string]ChannelSummary `json:"channels"`
	Link            LinkSummary               `json:"link"`
	Outage          *OutageSummary            `json:"outage,omitempty"` // the newest
	Latency         Latency                   `json:"latency_ms"`
	OK              bool                      `json:"ok"`
	History         *History                  `json:"history,omitempty"` // of all tags, at the end
	Reasons         []string                  `json:"reasons"`

	open uint64 // records that are missing and can still come
}

// ChannelSummary counts what the plant sent and what its clients on IT's side got.
type ChannelSummary struct {
	Sent       uint64 `json:"sent"`
	Arrived    uint64 `json:"delivered"`
	Healed     uint64 `json:"healed"`    // of those, missing before
	Conflated  uint64 `json:"conflated"` // values that newer ones replaced on the way
	Lost       uint64 `json:"lost"`      // never arrived
	Unknown    uint64 `json:"unknown"`   // the same, and RX cannot tell whether they did
	OutOfOrder uint64 `json:"out_of_order"`
	Altered    uint64 `json:"altered"`

	underWay uint64 // of Lost, what RX does not miss yet
}

// OutageSummary is a time in which the link was cut, in records of all channels.
type OutageSummary struct {
	From    time.Time  `json:"from"`
	To      *time.Time `json:"to"`      // nil: it is cut
	Missing uint64     `json:"missing"` // when most were
	Healed  uint64     `json:"healed"`
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

// sent returns how many records the plant has sent on each channel.
func (d *Demo) sent() map[string]uint64 {
	sent := map[string]uint64{opcuaChannel: d.server.Sent()}
	for i := range 2 {
		sent[channelNames[i]], sent[channelNames[2+i]] = d.brokers[i].Sent(), d.devices[i].Sent()
	}
	return sent
}

// Summary returns how things stand.
func (d *Demo) Summary() Summary {
	s := Summary{
		Medium: d.Medium, DurationSeconds: time.Since(d.began).Seconds(), Loss: d.Loss, Corrupt: d.Corrupt,
		Channels: map[string]ChannelSummary{}, Reasons: []string{},
	}
	var all []time.Duration
	for name, sent := range d.sent() {
		a := d.arrivals[name]
		a.mu.Lock()
		s.Channels[name] = ChannelSummary{Sent: sent, Arrived: a.arrived, Healed: a.healed, Lost: a.lost(sent),
			OutOfOrder: a.outOfOrder, Altered: a.altered}
		all = append(all, a.latencies...)
		a.mu.Unlock()
	}
	_, rx := d.look() // later, so that RX has counted what has arrived
	outage := d.seen()
	for name, c := range s.Channels {
		s.Channels[name] = d.account(name, c, rx.Channels[name], outage)
		s.open += rx.Channels[name].OpenRecords
	}
	s.Link = LinkSummary{Frames: rx.Link.Frames, CRCErrors: rx.Link.CRCErrors, Repaired: rx.Link.Repaired,
		Lost: rx.Link.Lost}
	s.Outage = outage.summary()
	slices.Sort(all)
	if n := len(all); n > 0 {
		s.Latency = Latency{P50: milliseconds(all[n/2]), P99: milliseconds(all[n*99/100])}
	}
	s.judge()
	return s
}

// account says of what has not arrived what RX knows about it.
func (d *Demo) account(name string, c ChannelSummary, rx pair.Channel, outage *outage) ChannelSummary {
	base := d.base[name]
	lost, unknown := rx.Lost-min(rx.Lost, base.Lost), rx.Unknown-min(rx.Unknown, base.Unknown)
	healed := rx.Healed - min(rx.Healed, base.Healed)
	if name != opcuaChannel {
		c.Unknown = min(c.Lost, unknown)
		c.Lost -= c.Unknown
		c.underWay = c.Lost - min(c.Lost, lost)
		if name == channelNames[2] || name == channelNames[3] { // no line says that it is late
			c.OutOfOrder += c.Healed - min(c.Healed, healed)
		}
		return c
	}
	// Values are state: the newest one of each tag counts, and late ones are in the history.
	c.Healed = min(healed, c.Sent-min(c.Sent, c.Arrived))
	c.Arrived += c.Healed
	c.underWay = d.watcher.outdated(d.server.Newest)
	if outage != nil && outage.ended.IsZero() {
		c.underWay = max(c.underWay, c.Sent-min(c.Sent, outage.sent[name]))
	}
	// RX counts all nodes, of which the plant's tags are some.
	rest := c.Sent - min(c.Sent, c.Arrived)
	c.underWay = min(c.underWay, rest)
	c.Lost = min(lost+c.underWay, rest)
	c.Unknown = min(unknown, rest-c.Lost)
	c.Conflated = rest - c.Lost - c.Unknown
	return c
}

// judge fills OK and Reasons.
func (s *Summary) judge() {
	s.Reasons = []string{}
	for name, c := range s.Channels {
		for what, n := range map[string]uint64{"lost": c.Lost, "of unknown outcome": c.Unknown,
			"out of order": c.OutOfOrder, "altered": c.Altered} {
			if n > 0 {
				s.Reasons = append(s.Reasons, fmt.Sprintf("%s: %d %s of %d", name, n, what, c.Sent))
			}
		}
		if c.Sent == 0 {
			s.Reasons = append(s.Reasons, name+": nothing was sent")
		}
	}
	if h := s.History; h != nil && h.Holes+h.Wrong > 0 {
		s.Reasons = append(s.Reasons, fmt.Sprintf("%s: %d holes and %d wrong values in the history", opcuaChannel,
			h.Holes, h.Wrong))
	}
	slices.Sort(s.Reasons)
	s.OK = len(s.Reasons) == 0
}

// notArrived returns how many records are missing.
func (s *Summary) notArrived() (n uint64) {
	for _, c := range s.Channels {
		n += c.Lost + c.Unknown
	}
	return n
}

// settled reports whether nothing more can come.
func (s *Summary) settled() bool {
	for _, c := range s.Channels {
		if c.underWay > 0 {
			return false
		}
	}
	return s.open == 0
}

// total is the account of all channels.
func (s *Summary) total() (sum ChannelSummary) {
	for _, c := range s.Channels {
		sum.Sent, sum.Arrived, sum.Healed = sum.Sent+c.Sent, sum.Arrived+c.Arrived, sum.Healed+c.Healed
		sum.Conflated, sum.Lost, sum.Unknown = sum.Conflated+c.Conflated, sum.Lost+c.Lost, sum.Unknown+c.Unknown
		sum.OutOfOrder, sum.Altered = sum.OutOfOrder+c.OutOfOrder, sum.Altered+c.Altered
		sum.underWay += c.underWay
	}
	return sum
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Lines returns the summary for people.
func (s Summary) Lines() (lines []string) {
	lines = append(lines, fmt.Sprintf("%.0f s over %s with %g%% loss and %g%% corruption:", s.DurationSeconds, s.Medium,
		s.Loss*100, s.Corrupt*100))
	for _, name := range channelNames {
		c := s.Channels[name]
		line := fmt.Sprintf("  %-12s %s sent = %s delivered (%s healed) + %s lost", name, grouped(c.Sent),
			grouped(c.Arrived), grouped(c.Healed), grouped(c.Lost))
		if c.Unknown > 0 {
			line += fmt.Sprintf(" + %s unknown", grouped(c.Unknown))
		}
		if c.Conflated > 0 {
			line += fmt.Sprintf(" + %s conflated", grouped(c.Conflated))
		}
		if c.OutOfOrder+c.Altered > 0 {
			line += fmt.Sprintf("; %s out of order, %s altered", grouped(c.OutOfOrder), grouped(c.Altered))
		}
		lines = append(lines, line)
	}
	if o := s.Outage; o != nil && o.To != nil {
		lines = append(lines, fmt.Sprintf("  %-12s cut from %s to %s: healed %s of %s", "link", clock(o.From),
			clock(*o.To), grouped(o.Healed), grouped(o.Missing)))
	}
	if h := s.History; h != nil {
		lines = append(lines, fmt.Sprintf("  %-12s %s values of %d tags by HistoryRead, %d holes, %d wrong ones",
			"history", grouped(h.Values), tags, h.Holes, h.Wrong))
	}
	return append(lines,
		fmt.Sprintf("  %-12s %d frames, %d repaired, %d bad CRC, %d beyond repair", "link", s.Link.Frames,
			s.Link.Repaired, s.Link.CRCErrors, s.Link.Lost),
		fmt.Sprintf("  %-12s p50 %.1f ms, p99 %.1f ms", "latency", s.Latency.P50, s.Latency.P99))
}
