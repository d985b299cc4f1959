package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/task"
)

// NoChannel begins the reason of a channel that only the receiver's configuration has.
const NoChannel = "the transmitter has no channel of this name"

// findings are all that may keep the numbers of a snapshot from being trusted.
func findings(now time.Time, s *Snapshot, ready task.Reasons) (list []finding) {
	if len(s.Refused) > 0 {
		return []finding{{kind: "configuration", level: No,
			TrustReason: TrustReason{Text: "the configuration is refused: " + s.Refused[0]}}}
	}
	linked := s.Link.State == ""
	if !linked {
		f := finding{kind: "link", level: No, TrustReason: TrustReason{Text: s.Link.State}}
		if age := s.Link.LastHeartbeatAgeSeconds; age != nil {
			f.Since = now.Add(-time.Duration(*age * float64(time.Second))).UTC().Truncate(time.Second)
		}
		list = append(list, f)
	}
	if linked && s.ClockSet != nil && !*s.ClockSet {
		whose := map[string]string{"rx": "the transmitter's", "tx": "this machine's"}[s.Role]
		list = append(list, finding{kind: ofClock, level: Partly, TrustReason: TrustReason{
			Text: whose + " clock is not set: the times of records may be wrong"}})
	}
	for _, r := range ready {
		name, isChannel := strings.CutPrefix(r.Part, "channel ")
		_, shown := s.Channels[name]
		if r.Part == "epoch_regressed" {
			list = append(list, finding{kind: r.Part, level: No, TrustReason: TrustReason{Text: r.Cause}})
		} else if linked && isChannel && !shown { // the other side alone has it
			list = append(list, finding{kind: "unmatched", level: Partly,
				TrustReason: TrustReason{Channel: name, Text: r.Cause}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
		c := s.Channels[name]
		if linked { // else what was last known of the source is old
			list = append(list, sourceFindings(s.Role, name, &c, ready)...)
		}
		list = append(list, lossFindings(now, s.Role, name, &c)...)
	}
	for i := range s.Peers {
		list = append(list, peerFindings(&s.Peers[i], s.Channels[s.Peers[i].Channel].Rate)...)
	}
	return list
}

// sourceFindings are those of a channel's source, and of what keeps the channel from being ready.
func sourceFindings(role, name string, c *Channel, ready task.Reasons) (list []finding) {
	up := c.SourceState == "up"
	if !up {
		why := "source " + c.SourceState
		if c.SourceReason != "" {
			why += ": " + c.SourceReason
		}
		list = append(list, finding{kind: "source", level: No, TrustReason: TrustReason{Channel: name, Text: why}})
	}
	for _, r := range ready {
		if channel, ok := strings.CutPrefix(r.Part, "channel "); ok && channel == name && (up || role == "rx") &&
			r.Cause != c.SourceReason {
			list = append(list, finding{kind: fmt.Sprint("ready ", len(list)), level: Partly,
				TrustReason: TrustReason{Channel: name, Text: r.Cause}})
		}
	}
	return list
}

// lossFindings are those of records of a channel that are missing.
func lossFindings(now time.Time, role, name string, c *Channel) (list []finding) {
	var open, final TrustReason
	gone := uint64(0)
	for _, h := range c.Holes { // newest first
		switch {
		case !h.Final:
			open.Since = h.From
		case now.Sub(later(h.From, h.To)) < goneFor:
			final.Since, gone = h.From, gone+h.Records
		}
	}
	if n := value(c.OpenRecords); n > 0 {
		open.Channel, open.Text = name, records(n)+" missing, may still come"
		list = append(list, finding{kind: "open", level: Partly, TrustReason: open})
	}
	if gone > 0 {
		final.Channel, final.Text = name, records(gone)+" lost for good"
		list = append(list, finding{kind: "final", level: Partly, TrustReason: final})
	}
	counts := []struct {
		kind  string
		count *uint64
		text  string
	}{
		{"refused", c.Refused, "%s refused by the sink's peer"},
		{"expired", c.Expired, "%s expired on the way to the sink's peer"},
	}
	if role == "tx" {
		counts[0].text = "%s not sent: " + strings.ReplaceAll(c.RefusedReason, "%", "%%")
		counts[1].kind, counts[1].count, counts[1].text = "dropped", c.Dropped,
			"%s dropped: the plant sends more than the link takes"
	}
	for _, k := range counts {
		if k.count != nil {
			list = append(list, finding{kind: k.kind, level: Partly, count: k.count,
				TrustReason: TrustReason{Channel: name, Text: k.text}})
		}
	}
	return list
}

func records(n uint64) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// peerFindings are those of a sink, to whose channel so many records a second come.
func peerFindings(p *Peer, rate *float64) (list []finding) {
	add := func(kind, why string, after time.Duration) {
		list = append(list, finding{kind: kind + " " + p.Name, level: Partly, after: after,
			TrustReason: TrustReason{Channel: p.Channel, Text: why}})
	}
	waits := ""
	if p.Spool != nil && p.Spool.Records > 0 {
		waits = records(uint64(p.Spool.Records)) + " waiting"
	}
	switch {
	case p.State != "up":
		why := "sink " + p.State
		if p.Reason != "" {
			why += ": " + p.Reason
		}
		if waits != "" {
			why += "; " + waits
		}
		add("sink", why, 0)
	// Some always wait for the acknowledgement of a peer that keeps up.
	case waits != "" && (rate == nil || float64(p.Spool.Records) > *rate*behindAfter.Seconds()):
		add("behind", waits+" for the sink's peer, which takes less than comes", behindAfter)
	}
	if p.Spool != nil {
		list = append(list, finding{kind: "spool " + p.Name, level: Partly, count: &p.Spool.Dropped,
			TrustReason: TrustReason{Channel: p.Channel, Text: "%s dropped: the spool was full"}})
	}
	return list
}
