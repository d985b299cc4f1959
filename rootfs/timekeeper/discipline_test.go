package timekeeper

import (
	"testing"
	"time"
)

func TestDecisions(t *testing.T) {
	type measurement struct {
		at     time.Duration
		number uint64
		offset time.Duration
		want   action
	}
	const s, ms = time.Second, time.Millisecond
	wall := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	const far = 30 * 365 * 24 * time.Hour
	for _, tt := range []struct {
		name  string
		start discipline
		taken []measurement
	}{
		{"none yet", discipline{}, []measurement{{0, 0, time.Hour, leave}}},
		{"two far ones that agree step", discipline{},
			[]measurement{{0, 1, far, leave}, {2 * s, 2, far + 500*ms, step}, {3 * s, 3, 20 * ms, slew}}},
		{"two far ones that differ do not step", discipline{},
			[]measurement{{0, 1, far, leave}, {2 * s, 2, time.Hour, leave}, {4 * s, 3, far, leave},
				{6 * s, 4, far, step}}},
		{"one measurement seen twice is not two", discipline{},
			[]measurement{{0, 1, far, leave}, {2 * s, 1, far, leave}}},
		{"the first near one slews", discipline{}, []measurement{{0, 1, -500 * ms, slew}, {s, 2, 501 * ms, leave}}},
		{"one measurement is used once", discipline{},
			[]measurement{{0, 1, 100 * ms, slew}, {s, 1, 100 * ms, leave}, {2 * s, 2, 100 * ms, slew}}},
		{"a later far one has to be measured for a minute", discipline{},
			[]measurement{{0, 1, 0, slew}, {s, 2, time.Hour, leave}, {60 * s, 3, time.Hour, leave},
				{61 * s, 4, time.Hour, step}, {62 * s, 5, 0, slew}}},
		{"a near one in between starts over", discipline{},
			[]measurement{{0, 1, 0, slew}, {s, 2, time.Hour, leave}, {30 * s, 3, 0, slew},
				{70 * s, 4, time.Hour, leave}}},
		{"another far one in between starts over", discipline{},
			[]measurement{{0, 1, 0, slew}, {s, 2, time.Hour, leave}, {30 * s, 3, 2 * time.Hour, leave},
				{70 * s, 4, 2 * time.Hour, leave}, {90 * s, 5, 2 * time.Hour, step}}},
		{"so does a far one after a step", discipline{},
			[]measurement{{0, 1, time.Hour, leave}, {s, 2, time.Hour, step}, {120 * s, 3, time.Hour, leave},
				{121 * s, 4, time.Hour, leave}}},
		{"never before the floor", discipline{floor: wall.Add(-time.Minute)},
			[]measurement{{0, 1, -time.Hour, reject}, {9 * time.Hour, 2, -time.Hour, reject},
				{9*time.Hour + s, 3, -59 * s, leave}, {9*time.Hour + 2*s, 4, -59 * s, step}}},
		{"never after the ceiling", discipline{ceiling: wall.Add(time.Hour)},
			[]measurement{{0, 1, far, reject}, {9 * time.Hour, 2, far, reject},
				{9*time.Hour + s, 3, time.Minute, leave}, {9*time.Hour + 2*s, 4, time.Minute, step}}},
		{"a rejected one in between starts over", discipline{ceiling: wall.Add(time.Hour)},
			[]measurement{{0, 1, time.Minute, leave}, {s, 2, far, reject}, {2 * s, 3, time.Minute, leave}}},
		{"before the saved time after an hour", discipline{saved: wall},
			[]measurement{{0, 1, -far, leave}, {s, 2, -far, leave}, {59 * time.Minute, 3, -far, leave},
				{time.Hour, 4, -far, step}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.start
			for i, m := range tt.taken {
				if got := d.decide(m.at, wall, m.number, m.offset); got != m.want {
					t.Errorf("measurement %d: got %d, want %d", i+1, got, m.want)
				}
			}
		})
	}
}
