package pipeline

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
)

// TestStatusShowsAges checks that ages count from the last heartbeat of the link and
// from the last record of each channel.
func TestStatusShowsAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}, nil)
		for _, name := range []string{"plant", "unused"} {
			l.Channel(name)
		}
		check := func(when string, heartbeat, plant time.Duration) {
			t.Helper()
			s := l.Status()
			ages := map[string]time.Duration{}
			for _, c := range s.Channels {
				ages[c.Name] = c.Age
			}
			if s.HeartbeatAge != heartbeat || ages["plant"] != plant || ages["unused"] != -1 {
				t.Errorf("%s: got a heartbeat of %v and records of %v, want %v, and %v for plant alone", when,
					s.HeartbeatAge, ages, heartbeat, plant)
			}
		}
		time.Sleep(time.Second)
		check("before the first record", -1, -1)
		l.now = time.Now()
		l.handleRecord(record.KindHeartbeat, (&record.Heartbeat{UTC: 1}).Append(nil))
		check("at a heartbeat", 0, -1)
		time.Sleep(2 * time.Second)
		l.now = time.Now()
		totals := record.Totals{Channel: record.ChannelID("plant")}
		l.handleRecord(record.KindTotals, totals.Append(nil))
		time.Sleep(3 * time.Second)
		check("5 s after the heartbeat, 3 s after the record", 5*time.Second, 3*time.Second)
	})
}
