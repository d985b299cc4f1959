package main

import (
	"fmt"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// report returns what PID 1 is told. Each part is asked, so one that holds its
// lock for ever keeps the report from being written.
func (b *board) report(runner *task.Runner) func() report.Report {
	ready := b.ready(runner)
	return func() report.Report {
		s := b.snapshot()
		s.SetReady(ready())
		st := b.link.Status()
		e := health.Evidence{Steps: runner.Steps(), LinkLost: s.Link.State, Damage: st.Frames.Lost + st.Frames.Repaired}
		for _, o := range b.outs {
			if state, reason := o.sink.Status(); state != sink.Up {
				e.Down = append(e.Down, fmt.Sprintf("%s %s: %s", o.sink, state, reason))
			}
		}
		for _, c := range st.Channels {
			switch {
			case c.Name == record.Gateway:
			case c.State == record.SourceDown:
				e.Down = append(e.Down, fmt.Sprintf("%s: source down: %s", c.Name, c.Reason))
			case !c.Complete:
				e.Waiting = c.Name + ": the initial snapshot is not complete yet"
			}
		}
		return report.Report{Evidence: e, Snapshot: s, Clock: b.clock(st)}
	}
}

// clock is what is known of the time of day: by time servers where some are
// configured, else by the link while it is heard.
func (b *board) clock(st pipeline.Status) report.Clock {
	if len(b.cfg.Time) > 0 {
		t := b.ntp.Estimate()
		return report.Clock{Number: t.Number, OffsetSeconds: t.Offset.Seconds(), Source: t.Source}
	}
	if !st.ClockSet || b.link.Ready() != nil {
		return report.Clock{}
	}
	return report.Clock{Number: st.ClockBeats, OffsetSeconds: st.Clock.Seconds(), Source: "link"}
}
