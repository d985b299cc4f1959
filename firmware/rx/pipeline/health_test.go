package pipeline

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/sink"
)

// TestHealth drives a link's records, without a medium, through what makes a
// snapshot stale.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		pic := l.Channel("plant")
		start := time.Now()
		beat := func(delay time.Duration) {
			l.now = time.Now()
			h := record.Heartbeat{UTC: 1, Uptime: uint64((time.Since(start) - delay).Milliseconds())}
			l.record(record.KindHeartbeat, h.Append(nil))
		}
		check := func(when string, want sink.Health) {
			t.Helper()
			if got := pic.Health(); got != want {
				t.Errorf("%s: got %+v, want %+v", when, got, want)
			}
		}
		time.Sleep(time.Second)
		check("before the first word", sink.Health{Stale: true, HeartbeatAge: time.Second})
		beat(0)
		totals := record.Totals{Channel: record.ChannelID("plant"), State: record.SourceDown, Reason: "refused"}
		l.record(record.KindTotals, totals.Append(nil))
		check("heard", sink.Health{State: sink.Down, Reason: "refused"})
		time.Sleep(5 * time.Second)
		check("at the bound", sink.Health{State: sink.Down, Reason: "refused", HeartbeatAge: 5 * time.Second})
		time.Sleep(time.Second)
		check("silent", sink.Health{Stale: true, State: sink.Down, Reason: "refused", HeartbeatAge: 6 * time.Second})
		beat(0)
		check("heard again", sink.Health{State: sink.Down, Reason: "refused"})
		time.Sleep(8 * time.Second)
		beat(8 * time.Second)
		if got := pic.Health(); !got.Stale || got.HeartbeatAge < 7*time.Second {
			t.Errorf("a link that only delays: got %+v, want stale since about 8 s", got)
		}
	})
}

// TestClockOffset has a transmitter an hour ahead, whose heartbeats come late.
func TestClockOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		start := time.Now()
		beat := func(delay time.Duration, set bool) {
			l.now = time.Now()
			sent := time.Now().Add(-delay)
			h := record.Heartbeat{UTC: sent.Add(time.Hour).UnixNano(), ClockSet: set, Uptime: uint64(sent.Sub(start).Milliseconds())}
			l.record(record.KindHeartbeat, h.Append(nil))
		}
		for i, step := range []struct {
			delay time.Duration
			set   bool
			beats uint64
			want  time.Duration
		}{
			{0, false, 0, 0}, // its clock is not set: its time says nothing
			{0, true, 1, time.Hour},
			{300 * time.Millisecond, true, 2, time.Hour}, // the delay is known, and made up for
			{0, false, 2, time.Hour},
		} {
			time.Sleep(time.Second)
			beat(step.delay, step.set)
			if got := l.Status(); (got.Clock-step.want).Abs() > time.Millisecond || got.ClockBeats != step.beats {
				t.Errorf("heartbeat %d: got %v by %d, want %v by %d", i+1, got.Clock, got.ClockBeats, step.want, step.beats)
			}
		}
	})
}
