package health

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const s = time.Second

// step is something that happens, and what is judged right after it.
type step struct {
	at   time.Duration
	do   func(j *Judge, now time.Duration)
	want State
	feed bool
}

func started(j *Judge, now time.Duration) { j.Started(now) }
func ended(j *Judge, now time.Duration)   { j.Ended(now, "exit code 1") }
func invalid(j *Judge, now time.Duration) { j.Invalid("line 3") }
func nothing(*Judge, time.Duration)       {}
func moving(j *Judge, now time.Duration)  { j.Report(now, at(now)) }
func frozen(j *Judge, now time.Duration) {
	j.Report(now, Evidence{Steps: map[string]uint64{"link": 7, "board": uint64(now)}})
}
func losing(j *Judge, now time.Duration) { e := at(now); e.Damage = uint64(now); j.Report(now, e) }
func silent(j *Judge, now time.Duration) {
	e := at(now)
	e.LinkLost, e.Down = "silent", []string{"x"}
	j.Report(now, e)
}
func peerDown(j *Judge, now time.Duration) {
	e := at(now)
	e.Down, e.Waiting = []string{"a", "b"}, "w"
	j.Report(now, e)
}
func diskFull(j *Judge, now time.Duration) { e := at(now); e.Disk = "nearly full"; j.Report(now, e) }
func waiting(j *Judge, now time.Duration)  { e := at(now); e.Waiting = "w"; j.Report(now, e) }

func at(now time.Duration) Evidence {
	return Evidence{Steps: map[string]uint64{"link": uint64(now), "board": uint64(now)}}
}

func TestTransitions(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
	}{
		{"before anything", []step{{0, nothing, Starting, true}, {StartTimeout, nothing, Stuck, false}}},
		{"first report", []step{{0, started, Starting, true}, {s, moving, Good, true}}},
		{"never a report", []step{{5 * s, started, Starting, true}, {5*s + StartTimeout - 1, nothing, Starting, true},
			{5*s + StartTimeout, nothing, Stuck, false}}},
		{"reports stop, and resume", []step{{0, started, Starting, true}, {s, moving, Good, true},
			{s + ProgressTimeout - 1, nothing, Good, true},
			{s + ProgressTimeout, nothing, Stuck, false}, {s + ProgressTimeout + 1, moving, Good, true}}},
		{"one part makes no progress", []step{{0, started, Starting, true}, {s, frozen, Good, true},
			{s + ProgressTimeout - 1, frozen, Good, true},
			{s + ProgressTimeout, frozen, Stuck, false}, {s + ProgressTimeout + 1, moving, Good, true}}},
		{"disk nearly full, and room again", []step{{0, started, Starting, true}, {s, diskFull, Degraded, true},
			{2 * s, moving, Good, true}}},
		{"link lost, and back", []step{{0, started, Starting, true}, {s, silent, LinkLost, true},
			{2 * s, moving, Good, true}}},
		{"link lost for a day", []step{{0, started, Starting, true}, {86400 * s, silent, LinkLost, true}}},
		{"peer down before waiting", []step{{0, started, Starting, true}, {s, peerDown, PeerDown, true},
			{2 * s, waiting, Waiting, true}, {3 * s, moving, Good, true}}},
		{"damage passes", []step{{0, started, Starting, true}, {s, losing, Good, true}, {2 * s, losing, Degraded, true},
			{2*s + degradedFor, moving, Good, true}}},
		{"damage of the run before is none", []step{{0, started, Starting, true}, {s, losing, Good, true},
			{2 * s, losing, Degraded, true},
			{3 * s, ended, Ended, true}, {4 * s, started, Starting, true}, {5 * s, losing, Good, true}}},
		{"ended once", []step{{0, started, Starting, true}, {s, moving, Good, true}, {2 * s, ended, Ended, true},
			{3 * s, started, Starting, true}, {4 * s, moving, Good, true}}},
		{"ends again and again", []step{{0, started, Starting, true}, {s, ended, Ended, true},
			{2 * s, started, Starting, true},
			{EndedTimeout, ended, Ended, false}}},
		{"a run that worked makes the next end a first one",
			[]step{{0, started, Starting, true}, {s, ended, Ended, true}, {2 * s, started, Starting, true},
				{3 * s, moving, Good, true}, {EndedTimeout + s, ended, Ended, true},
				{EndedTimeout + 2*s, nothing, Ended, true}}},
		{"invalid is fed for ever", []step{{0, started, Starting, true}, {s, invalid, Invalid, true},
			{86400 * s, nothing, Invalid, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var j Judge
			for _, st := range tt.steps {
				st.do(&j, st.at)
				v := j.Verdict(st.at)
				if v.State != st.want || v.Feed != st.feed {
					t.Fatalf("at %s: got %s (%s), feed %t; want %s, feed %t", st.at, v.State, v.Reason, v.Feed, st.want,
						st.feed)
				}
				if v.Alarm != (st.want == LinkLost) {
					t.Errorf("at %s: got alarm %t in %s", st.at, v.Alarm, v.State)
				}
				if (v.Reason == "") != (st.want == Good) {
					t.Errorf("at %s: got reason %q in %s", st.at, v.Reason, v.State)
				}
			}
		})
	}
}

func TestPatternsDiffer(t *testing.T) {
	seen := map[string]State{}
	for state, p := range patterns {
		text := fmt.Sprint(p)
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s show the same", state, other)
		}
		seen[text] = state
		if len(p)%2 != 0 {
			t.Errorf("%s: got %d times, want pairs of on and off", state, len(p))
		}
		// The boot ROM flashes 3, 4 and 7 to 10 times.
		if n := len(p) / 2; slices.Contains([]int{3, 4, 7, 8, 9, 10}, n) {
			t.Errorf("%s flashes %d times, as the boot ROM does", state, n)
		}
	}
	for _, state := range []State{Invalid, Stuck, Ended, Starting, LinkLost, PeerDown, Waiting, Degraded, Good} {
		if _, ok := patterns[state]; !ok {
			t.Errorf("%s has no pattern", state)
		}
		if state.Shown() == "" || state.Means() == "" {
			t.Errorf("%s has no words", state)
		}
	}
}
