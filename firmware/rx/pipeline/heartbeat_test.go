package pipeline

import (
	"log/slog"
	"slices"
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
		if got := time.Until(l.TransmitterTime()); got.Abs() > time.Millisecond {
			t.Errorf("before the first heartbeat: the transmitter's clock is %v ahead, want this machine's", got)
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
			if got := time.Until(l.TransmitterTime()); (got - time.Hour).Abs() > time.Millisecond {
				t.Errorf("heartbeat %d: the transmitter's clock is %v ahead, want an hour, set or not", i+1, got)
			}
		}
	})
}

func TestDelaysOfTheNewestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		start := time.Now()
		for i := range maxDelays + 10 {
			time.Sleep(time.Second)
			l.now = time.Now()
			sent := time.Now().Add(-20 * time.Millisecond) // the least delay of the link, which does not show
			if i == maxDelays {
				sent = sent.Add(-300 * time.Millisecond)
			}
			h := record.Heartbeat{Uptime: uint64(sent.Sub(start).Milliseconds())}
			l.handleRecord(record.KindHeartbeat, h.Append(nil))
		}
		delays := l.Delays()
		if len(delays) != maxDelays || slices.Max(delays).Round(time.Millisecond) != 300*time.Millisecond ||
			slices.Min(delays) != 0 || delays[maxDelays-10] < 299*time.Millisecond {
			t.Errorf("got %v, want one of 300 ms ten before the end", delays)
		}
		l.heartbeats.restart()
		if delays := l.Delays(); len(delays) != 0 {
			t.Errorf("of a new session: got %v", delays)
		}
	})
}

// Two clocks that differ by 30 ppm are 7.8 s apart after three days: the link is not late for that.
func TestAClocksDriftInALongOutageIsNotADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		start := time.Now()
		beat := func() time.Duration {
			l.now = time.Now()
			up := time.Since(start)
			h := record.Heartbeat{Uptime: uint64((up - up*30/1_000_000).Milliseconds())}
			l.handleRecord(record.KindHeartbeat, h.Append(nil))
			return l.heartbeats.late
		}
		beat()
		time.Sleep(72 * time.Hour)
		if late := beat(); late > time.Millisecond {
			t.Errorf("got %v late, want 0", late)
		}
	})
}
