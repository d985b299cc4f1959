package node

import (
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/tx/source"
)

// Report is what PID 1 of a board reads. Each part is asked, so one that never
// releases its lock keeps the report from being written.
func (n *Node) Report() report.Report {
	s := n.Snapshot()
	t := n.ntp.Estimate()
	return report.Report{
		Evidence: n.evidence(),
		Snapshot: s,
		Clock:    report.Clock{Number: t.Number, OffsetSeconds: t.Offset.Seconds(), Source: t.Source},
	}
}

// evidence is what package health judges.
func (n *Node) evidence() health.Evidence {
	e := health.Evidence{Steps: n.runner.Steps(), LinkLost: n.linkStatus().State, Disk: n.state.disk.Fault()}
	for _, c := range n.link.Channels() {
		e.Damage += c.Dropped
		switch {
		case c.Name == record.Gateway:
		case c.State != source.Up:
			e.Down = append(e.Down, c.Name+": "+c.Down())
		case c.Partial:
			e.Waiting = c.Name + ": " + notComplete
		}
	}
	return e
}
