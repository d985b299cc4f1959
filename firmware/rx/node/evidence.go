package node

import (
	"fmt"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// Report is what PID 1 of a board reads. Each part is asked, so one that never
// releases its lock keeps the report from being written.
func (n *Node) Report() report.Report {
	s, st := n.Snapshot(), n.link.Status()
	return report.Report{Evidence: n.evidence(st, s.Link.State), Snapshot: s, Clock: n.clock(st)}
}

// evidence is what package health judges.
func (n *Node) evidence(st pipeline.Status, linkLost string) health.Evidence {
	e := health.Evidence{Steps: n.runner.Steps(), LinkLost: linkLost, Disk: n.state.disk.Fault(),
		Damage: st.Frames.Lost + st.Frames.Repaired}
	for _, c := range n.channels {
		if state, reason := c.sink.Status(); state != sink.Up {
			e.Down = append(e.Down, fmt.Sprintf("%s %s: %s", c.sink, state, reason))
		}
	}
	for _, c := range st.Channels {
		switch {
		case c.Name == record.Gateway:
		case c.State == record.SourceDown:
			e.Down = append(e.Down, fmt.Sprintf("%s: source down: %s", c.Name, c.Reason))
		case !c.Complete:
			e.Waiting = c.Name + ": " + notComplete
		}
	}
	return e
}

// clock is the time of day as far as it is known: from time servers where some are
// configured, else from the link while it delivers.
func (n *Node) clock(st pipeline.Status) report.Clock {
	if len(n.config.RX.Time) > 0 {
		t := n.ntp.Estimate()
		return report.Clock{Number: t.Number, OffsetSeconds: t.Offset.Seconds(), Source: t.Source}
	}
	if !st.ClockSet || n.link.Ready() != nil {
		return report.Clock{}
	}
	return report.Clock{Number: st.ClockBeats, OffsetSeconds: st.Clock.Seconds(), Source: "link"}
}
