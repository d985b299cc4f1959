package clock

import (
	"testing"
	"time"
)

func TestDecisions(t *testing.T) {
	type measurement struct {
		at     time.Duration
		number uint64
		offset time.Duration
		want   Action
	}
	const s, ms = time.Second, time.Millisecond
	wall := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		floor time.Time
		taken []measurement
	}{
		{"none yet", time.Time{}, []measurement{{0, 0, time.Hour, Leave}}},
		{"the first far one steps", time.Time{}, []measurement{{0, 1, 30 * 365 * 24 * time.Hour, DoStep}, {s, 2, 20 * ms, DoSlew}}},
		{"the first near one slews", time.Time{}, []measurement{{0, 1, -500 * ms, DoSlew}, {s, 2, 501 * ms, Leave}}},
		{"one measurement is used once", time.Time{}, []measurement{{0, 1, 100 * ms, DoSlew}, {s, 1, 100 * ms, Leave}, {2 * s, 2, 100 * ms, DoSlew}}},
		{"a far one later has to insist", time.Time{}, []measurement{{0, 1, 0, DoSlew}, {s, 2, time.Hour, Leave}, {60 * s, 3, time.Hour, Leave}, {61 * s, 4, time.Hour, DoStep}, {62 * s, 5, 0, DoSlew}}},
		{"a near one in between starts over", time.Time{}, []measurement{{0, 1, 0, DoSlew}, {s, 2, time.Hour, Leave}, {30 * s, 3, 0, DoSlew}, {70 * s, 4, time.Hour, Leave}}},
		{"a far one after a step has to insist too", time.Time{}, []measurement{{0, 1, time.Hour, DoStep}, {120 * s, 2, time.Hour, Leave}}},
		{"never below the floor", wall.Add(-time.Minute), []measurement{{0, 1, -time.Hour, Leave}, {s, 2, -59 * s, DoStep}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Discipline{Floor: tt.floor}
			for i, m := range tt.taken {
				if got := d.Decide(m.at, wall, m.number, m.offset); got != m.want {
					t.Errorf("measurement %d: got %d, want %d", i+1, got, m.want)
				}
			}
		})
	}
}
