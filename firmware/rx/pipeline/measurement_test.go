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
		var want Delays
		want[0], want[9], want[len(want)-1] = 2, 1, 1 // at most 1 ms, 50 ms, and beyond 5 s
		if m.Delays != want || m.Uptime != 70*time.Second {
			t.Errorf("got %v at %v, want %v at 1m10s", m.Delays, m.Uptime, want)
		}
	})
}
