package pipeline

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
)

func TestHeartbeatsAreCountedByTheirDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		start := time.Now()
		for _, delay := range []time.Duration{0, 40 * time.Millisecond, 0, 10 * time.Second} {
			time.Sleep(20 * time.Second)
			l.now = time.Now()
			sent := time.Since(start) - delay
			h := record.Heartbeat{UTC: 1, Uptime: uint64(sent.Milliseconds())}
			l.handleRecord(record.KindHeartbeat, h.Append(nil))
		}
		m := l.Status().Measured
		// The quickest is let rise by the clocks' drift with each heartbeat, to the next one that is quicker.
		want := Delays{Sum: 10*time.Second + 40*time.Millisecond - 2*20*time.Second/driftShare}
		want.Counts[0], want.Counts[9], want.Counts[len(want.Counts)-1] = 2, 1, 1 // at most 1 ms, 50 ms, and beyond 5 s
		if m.Delays != want || m.Uptime != 70*time.Second {
			t.Errorf("got %v at %v, want %v at 1m10s", m.Delays, m.Uptime, want)
		}
	})
}
