package trend

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func figures() []Figure {
	return []Figure{{"frames", "1/s", Rate}, {"latency_p50", "s", Mean}, {"latency_p99", "s", Most}}
}

// run adds a sample each 2 s from one time to another, both included.
func run(r *Ring, from, to time.Time, sample func(time.Time) []float64) {
	for at := from; !at.After(to); at = at.Add(2 * time.Second) {
		r.Add(at, sample(at))
	}
}

func values(t *testing.T, r *Ring, span string, figure int, now time.Time) Values {
	t.Helper()
	h, ok := r.History(span, now)
	if !ok || len(h.Series) != len(figures()) || len(h.Series[figure].Values) > 400 {
		t.Fatalf("%s: got %v, %+v", span, ok, h)
	}
	return h.Series[figure].Values
}

func isGap(v float32) bool { return math.IsNaN(float64(v)) }

// A steady count is its rate at each point of each span, whenever samples are taken.
func TestSteadyRateIsFlat(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 1700 * time.Millisecond, 2 * time.Second, 7 * time.Second} {
		r := New(figures())
		at := noon.Add(300 * time.Millisecond)
		for range int(3 * time.Hour / every) {
			r.Add(at, []float64{5 * at.Sub(noon).Seconds(), 1, 2})
			at = at.Add(every)
		}
		at = at.Add(-every)
		for span, least := range map[string]int{"10m": 300, "1d": 36, "1mo": 2} {
			points := values(t, r, span, 0, at)
			for i, v := range points[len(points)-least:] {
				if math.Abs(float64(v)-5) > 0.01 && i < least-1 { // the last step may have no sample yet
					t.Errorf("each %v: %s: point %d of %d is %v, want 5", every, span, i, least, v)
				}
			}
		}
	}
}

func TestBurstIsAtItsTime(t *testing.T) {
	r := New(figures())
	count := 0.0
	run(r, noon, noon.Add(9*time.Minute), func(at time.Time) []float64 {
		if at.Equal(noon.Add(5 * time.Minute)) {
			count += 40
		}
		return []float64{count, 1, map[bool]float64{true: 9, false: 2}[at.Equal(noon.Add(5*time.Minute))]}
	})
	now := noon.Add(9 * time.Minute)
	lost, most := values(t, r, "10m", 0, now), values(t, r, "10m", 2, now)
	sum := 0.0
	for i, v := range lost {
		if isGap(v) {
			continue
		}
		if sum += 2 * float64(v); v > 0 && (i < 177 || i > 180) { // 4 minutes before the last
			t.Errorf("point %d: got %v", i, v)
		}
	}
	if sum != 40 {
		t.Errorf("got %v in all, want 40", sum)
	}
	if day := values(t, r, "1d", 2, now); day[286] != 9 || most[178] != 9 || most[176] != 2 || most[181] != 2 {
		t.Errorf("got %v and %v, %v; want the highest 9 in its step alone", day[286], most[178], most[176])
	}
	if day := values(t, r, "1d", 1, now); day[287] != 1 {
		t.Errorf("mean: got %v, want 1", day[287])
	}
}

func TestGapsAreNotZero(t *testing.T) {
	for name, c := range map[string]struct {
		pause time.Duration
		gap   bool
	}{"short": {10 * time.Second, false}, "long": {20 * time.Second, true}} {
		r := New(figures())
		one := func(time.Time) []float64 { return []float64{7, 1, 1} }
		run(r, noon, noon.Add(time.Minute), one)
		now := noon.Add(time.Minute + c.pause)
		r.Add(now, one(now))
		if v := values(t, r, "10m", 0, now)[300-1-2]; isGap(v) != c.gap {
			t.Errorf("%s: got %v, want a gap: %t", name, v, c.gap)
		}
	}
	r := New(figures())
	run(r, noon, noon.Add(time.Minute), func(time.Time) []float64 { return []float64{7, math.NaN(), math.Inf(1)} })
	h, _ := r.History("10m", noon.Add(time.Minute))
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(b, &back); err != nil || !isGap(back.Series[1].Values[298]) ||
		back.Series[0].Values[298] != 0 || !isGap(back.Series[0].Values[0]) {
		t.Errorf("got %v, %s", err, b)
	}
}

func TestCountThatBeginsAgainIsAGap(t *testing.T) {
	r := New(figures())
	run(r, noon, noon.Add(20*time.Second), func(at time.Time) []float64 {
		return []float64{float64(map[bool]int{true: 1000, false: 0}[at.Before(noon.Add(10*time.Second))]), 1, 1}
	})
	for i, v := range values(t, r, "10m", 0, noon.Add(20*time.Second)) {
		if !isGap(v) && v != 0 {
			t.Errorf("point %d: got %v", i, v)
		}
	}
}

func TestClockThatIsSet(t *testing.T) {
	one := func(time.Time) []float64 { return []float64{7, 3, 1} }
	for name, c := range map[string]struct {
		by            time.Duration
		before, after int // gaps among the points of the day
	}{
		"forward":          {2 * time.Hour, 276, 275},
		"back":             {-30 * time.Minute, 276, 281},
		"far back":         {-48 * time.Hour, 276, 287},
		"far forward":      {48 * time.Hour, 276, 287},
		"before the epoch": {-200 * 365 * 24 * time.Hour, 276, 287},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(figures())
			gaps := func(now time.Time) (n int) {
				for _, v := range values(t, r, "1d", 1, now) {
					if isGap(v) {
						n++
					}
				}
				return n
			}
			now := noon.Add(time.Hour)
			run(r, noon, now, one)
			if got := gaps(now); got != c.before {
				t.Errorf("before: got %d gaps, want %d", got, c.before)
			}
			run(r, now.Add(c.by), now.Add(c.by).Add(8*time.Second), one)
			if got := gaps(now.Add(c.by)); got != c.after {
				t.Errorf("after: got %d gaps, want %d", got, c.after)
			}
		})
	}
}

func TestUnknownSpan(t *testing.T) {
	for _, span := range append(Spans(), "", "1y") {
		if _, ok := New(figures()).History(span, noon); ok != (len(span) > 0 && span != "1y") {
			t.Errorf("%q: got %t", span, ok)
		}
	}
}
