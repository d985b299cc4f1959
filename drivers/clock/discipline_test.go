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
	const far = 30 * 365 * 24 * time.Hour
	for _, tt := range []struct {
		name  string
		start Discipline
		taken []measurement
	}{
		{"none yet", Discipline{}, []measurement{{0, 0, time.Hour, Leave}}},
		{"two far ones that say the same step", Discipline{}, []measurement{{0, 1, far, Leave}, {2 * s, 2, far + 500*ms, DoStep}, {3 * s, 3, 20 * ms, DoSlew}}},
		{"two far ones that differ do not", Discipline{}, []measurement{{0, 1, far, Leave}, {2 * s, 2, time.Hour, Leave}, {4 * s, 3, far, Leave}, {6 * s, 4, far, DoStep}}},
		{"one measurement is no two", Discipline{}, []measurement{{0, 1, far, Leave}, {2 * s, 1, far, Leave}}},
		{"the first near one slews", Discipline{}, []measurement{{0, 1, -500 * ms, DoSlew}, {s, 2, 501 * ms, Leave}}},
		{"one measurement is used once", Discipline{}, []measurement{{0, 1, 100 * ms, DoSlew}, {s, 1, 100 * ms, Leave}, {2 * s, 2, 100 * ms, DoSlew}}},
		{"a far one later has to insist", Discipline{}, []measurement{{0, 1, 0, DoSlew}, {s, 2, time.Hour, Leave}, {60 * s, 3, time.Hour, Leave}, {61 * s, 4, time.Hour, DoStep}, {62 * s, 5, 0, DoSlew}}},
		{"a near one in between starts over", Discipline{}, []measurement{{0, 1, 0, DoSlew}, {s, 2, time.Hour, Leave}, {30 * s, 3, 0, DoSlew}, {70 * s, 4, time.Hour, Leave}}},
		{"another far one in between starts over", Discipline{}, []measurement{{0, 1, 0, DoSlew}, {s, 2, time.Hour, Leave}, {30 * s, 3, 2 * time.Hour, Leave}, {70 * s, 4, 2 * time.Hour, Leave}, {90 * s, 5, 2 * time.Hour, DoStep}}},
		{"a far one after a step has to insist too", Discipline{}, []measurement{{0, 1, time.Hour, Leave}, {s, 2, time.Hour, DoStep}, {120 * s, 3, time.Hour, Leave}, {121 * s, 4, time.Hour, Leave}}},
		{"never before the floor", Discipline{Floor: wall.Add(-time.Minute)}, []measurement{{0, 1, -time.Hour, Doubt}, {9 * time.Hour, 2, -time.Hour, Doubt}, {9*time.Hour + s, 3, -59 * s, Leave}, {9*time.Hour + 2*s, 4, -59 * s, DoStep}}},
		{"never after the ceiling", Discipline{Ceiling: wall.Add(time.Hour)}, []measurement{{0, 1, far, Doubt}, {9 * time.Hour, 2, far, Doubt}, {9*time.Hour + s, 3, time.Minute, Leave}, {9*time.Hour + 2*s, 4, time.Minute, DoStep}}},
		{"a doubt in between starts over", Discipline{Ceiling: wall.Add(time.Hour)}, []measurement{{0, 1, time.Minute, Leave}, {s, 2, far, Doubt}, {2 * s, 3, time.Minute, Leave}}},
		{"before the last known time if it persists", Discipline{Kept: wall}, []measurement{{0, 1, -far, Leave}, {s, 2, -far, Leave}, {59 * time.Minute, 3, -far, Leave}, {time.Hour, 4, -far, DoStep}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.start
			for i, m := range tt.taken {
				if got := d.Decide(m.at, wall, m.number, m.offset); got != m.want {
					t.Errorf("measurement %d: got %d, want %d", i+1, got, m.want)
				}
			}
		})
	}
}
