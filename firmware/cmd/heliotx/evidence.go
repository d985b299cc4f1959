package main

import (
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

// report returns what PID 1 is told. Each part is asked, so one that holds its
// lock for ever keeps the report from being written.
func (r *reporter) report(runner *task.Runner) func() report.Report {
	ready := r.ready(runner)
	return func() report.Report {
		s := r.snapshot()
		s.SetReady(ready())
		e := health.Evidence{Steps: runner.Steps(), LinkLost: s.Link.State}
		for _, c := range r.link.Channels() {
			e.Damage += c.Dropped
			switch {
			case c.Name == record.Gateway:
			case c.State != source.Up:
				e.Down = append(e.Down, c.Name+": "+c.Down())
			case c.Partial:
				e.Waiting = c.Name + ": the source's first picture has not been sent yet"
			}
		}
		t := r.ntp.Estimate()
		return report.Report{Evidence: e, Snapshot: s, Clock: report.Clock{Number: t.Number, OffsetSeconds: t.Offset.Seconds(), Source: t.Source}}
	}
}
