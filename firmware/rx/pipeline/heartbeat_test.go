package pipeline

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
)

// TestClockOffset has a transmitter an hour ahead, whose heartbeats come late.
func TestClockOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		start := time.Now()
		beat := func(delay time.Duration, set bool) {
			l.now = time.Now()
			sent := time.Now().Add(-delay)
			h := record.Heartbeat{UTC: sent.Add(time.Hour).UnixNano(), ClockSet: set,
				Uptime: uint64(sent.Sub(start).Milliseconds())}
			l.handleRecord(record.KindHeartbeat, h.Append(nil))
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
				t.Errorf("heartbeat %d: got %v by %d, want %v by %d", i+1, got.Clock, got.ClockBeats, step.want,
					step.beats)
			}
		}
	})
}
