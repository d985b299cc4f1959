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
		channel := l.Channel("plant")
		start := time.Now()
		beat := func(delay time.Duration) {
			l.now = time.Now()
			h := record.Heartbeat{UTC: 1, Uptime: uint64((time.Since(start) - delay).Milliseconds())}
			l.handleRecord(record.KindHeartbeat, h.Append(nil))
		}
		check := func(when string, want sink.Health) {
			t.Helper()
			if got := channel.Health(); got != want {
				t.Errorf("%s: got %+v, want %+v", when, got, want)
			}
		}
		time.Sleep(time.Second)
		check("before the first heartbeat", sink.Health{Stale: true})
		beat(0)
		check("a heartbeat", sink.Health{})
		account := func() {
			t := record.Totals{Channel: record.ChannelID("plant"), State: record.SourceDown, Reason: "refused"}
			l.handleRecord(record.KindTotals, t.Append(nil))
		}
		account()
		check("received", sink.Health{Totals: 1, State: sink.Down, Reason: "refused"})
		time.Sleep(5 * time.Second)
		check("at the bound", sink.Health{Totals: 1, State: sink.Down, Reason: "refused"})
		time.Sleep(time.Second)
		check("silent", sink.Health{Stale: true, Totals: 1, State: sink.Down, Reason: "refused"})
		beat(0)
		check("received again", sink.Health{State: sink.Down, Reason: "refused"})
		account()
		beat(0)
		account()
		check("accounted for", sink.Health{Totals: 2, State: sink.Down, Reason: "refused"})
		time.Sleep(8 * time.Second)
		beat(8 * time.Second)
		check("delayed", sink.Health{Stale: true, State: sink.Down, Reason: "refused"})
	})
}
