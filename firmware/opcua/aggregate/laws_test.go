package aggregate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// history makes n samples about a second apart, from one second before epoch on, never at a whole
// second unless edges is set. Statuses are mixed, and times repeat now and then.
func history(r *rand.Rand, n int, edges bool) []Value {
	out := make([]Value, n)
	at := epoch.Add(-time.Second)
	for i := range out {
		v := Value{Time: at, Value: float64(r.IntN(7) - 3), HasValue: true}
		switch r.IntN(8) {
		case 0:
			v.Status, v.HasValue = ua.StatusBadNoCommunication, false
		case 1:
			v.Status = ua.StatusUncertain
		}
		if !edges {
			v.Time = at.Truncate(time.Second).Add(time.Duration(1+r.IntN(999)) * time.Millisecond)
			if i > 0 && v.Time.Before(out[i-1].Time) {
				v.Time = out[i-1].Time
			}
		}
		out[i] = v
		at = at.Add(time.Duration(r.IntN(3)) * time.Second)
	}
	return out
}

// anyConfig is a valid configuration.
func anyConfig(r *rand.Rand) Config {
	c := Config{TreatUncertainAsBad: r.IntN(2) == 0, Stepped: r.IntN(2) == 0, UseSlopedExtrapolation: r.IntN(2) == 0}
	c.PercentDataBad = uint8(r.IntN(101))
	c.PercentDataGood = 100 - uint8(r.IntN(int(c.PercentDataBad)+1))
	return c
}

// all collects the results of a request.
func all(t *testing.T, id uint32, s Source, start, end time.Time, step time.Duration, c Config) (out []Value) {
	t.Helper()
	err := Compute(id, s, start, end, step, c, func(v Value) bool {
		out = append(out, v)
		return true
	})
	if err != nil {
		t.Fatalf("%s: %v", Name(id), err)
	}
	return out
}

// equal allows for rounding.
func equal(a, b Value) bool {
	return a.Time.Equal(b.Time) && a.Status == b.Status && a.HasValue == b.HasValue &&
		(!a.HasValue || math.Abs(a.Value-b.Value) <= 1e-9*max(1, math.Abs(a.Value)))
}

// trials calls f with many histories that reach from before to behind 60 s from epoch on.
func trials(t *testing.T, edges bool, f func(r *rand.Rand, samples []Value, c Config)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for range 80 {
		samples := history(r, 120, edges)
		f(r, samples, anyConfig(r))
	}
}

const minute = time.Minute

func TestIntervalsDoNotDependOnEachOther(t *testing.T) {
	trials(t, true, func(r *rand.Rand, samples []Value, c Config) {
		s := sourceOf(samples[r.IntN(20) : 60+r.IntN(60)]) // data may begin and end inside
		step := time.Duration(1+r.IntN(10)) * time.Second
		end := epoch.Add(step * (minute / step))
		for _, id := range List() {
			for _, backward := range []bool{false, true} {
				from, to, d := epoch, end, step
				if backward {
					from, to, d = end, epoch, -step
				}
				for i, got := range all(t, id, s, from, to, step, c) {
					at := from.Add(time.Duration(i) * d)
					if want := all(t, id, s, at, at.Add(d), 0, c)[0]; !equal(got, want) {
						t.Fatalf("%s, interval %d of %v, backward %v, %+v: got %s, alone %s",
							Name(id), i, step, backward, c, show(got), show(want))
					}
				}
			}
		}
	})
}

func TestASourceMayBeginWithTheSecondUsableSampleBefore(t *testing.T) {
	trials(t, true, func(r *rand.Rand, samples []Value, c Config) {
		from := epoch.Add(time.Duration(10+r.IntN(20)) * time.Second)
		to := from.Add(20 * time.Second)
		for i := range samples {
			samples[i].HasValue = samples[i].HasValue && r.IntN(4) > 0 // a Good text, or no value
		}
		for _, id := range List() {
			want := all(t, id, sourceOf(samples), from, to, 5*time.Second, c)
			few := sourceOf(trim(samples, from, to, c, Numeric(id)))
			got := all(t, id, few, from, to, 5*time.Second, c)
			back := all(t, id, few, to, from, 5*time.Second, c)
			wantBack := all(t, id, sourceOf(samples), to, from, 5*time.Second, c)
			for i := range want {
				if !equal(got[i], want[i]) || !equal(back[i], wantBack[i]) {
					t.Fatalf("%s, interval %d: got %s and %s, want %s and %s", Name(id), i,
						show(got[i]), show(back[i]), show(want[i]), show(wantBack[i]))
				}
			}
		}
	})
}

// trim leaves what Source asks for.
func trim(samples []Value, from, to time.Time, c Config, numeric bool) []Value {
	lo, seen := 0, 0
	hi := len(samples)
	for i := range samples {
		if v := &samples[i]; v.Time.After(to) && c.Usable(v, numeric) {
			hi = i + 1
			break
		}
	}
	for i := hi - 1; i >= 0 && seen < 2; i-- {
		if v := &samples[i]; v.Time.Before(from) && c.Usable(v, numeric) {
			lo = i
			seen++
		}
	}
	return samples[lo:hi]
}

func TestPartsAddUp(t *testing.T) {
	sum := func(a, b float64) float64 { return a + b }
	laws := []struct {
		name string
		join func(a, b float64) float64
	}{
		{"Total", sum}, {"Total2", sum}, {"Count", sum}, {"NumberOfTransitions", sum},
		{"DurationGood", sum}, {"DurationBad", sum}, {"Minimum", math.Min}, {"Maximum", math.Max},
		{"Minimum2", math.Min}, {"Maximum2", math.Max}, {"DeltaBounds", sum},
	}
	trials(t, true, func(r *rand.Rand, samples []Value, c Config) {
		s := sourceOf(samples)
		c.PercentDataGood, c.PercentDataBad = 0, 100 // never Bad
		// Under TreatUncertainAsBad a bound before a Bad sample does not count as an extreme, though the
		// sample that it stands for does.
		c.TreatUncertainAsBad = false
		for _, law := range laws {
			id := idOf(t, law.name)
			whole := all(t, id, s, epoch, epoch.Add(minute), 0, c)[0]
			parts := all(t, id, s, epoch, epoch.Add(minute), 6*time.Second, c)
			got, ok := 0.0, false
			for _, p := range parts {
				switch {
				case law.name == "DeltaBounds" && !p.HasValue:
					return // a bound in between is missing
				case !p.HasValue:
				case !ok:
					got, ok = p.Value, true
				default:
					got = law.join(got, p.Value)
				}
			}
			if ok != whole.HasValue || math.Abs(got-whole.Value) > 1e-6 {
				t.Fatalf("%s: parts give %v %v, the whole %s; %+v", law.name, got, ok, show(whole), c)
			}
		}
	})
}

func TestStatusesShareTheInterval(t *testing.T) {
	trials(t, true, func(r *rand.Rand, samples []Value, c Config) {
		s := sourceOf(samples)
		get := func(name string) []Value {
			return all(t, idOf(t, name), s, epoch, epoch.Add(minute), 7*time.Second, c)
		}
		good, percentGood := get("DurationGood"), get("PercentGood")
		wrong, percentBad := get("DurationBad"), get("PercentBad")
		for i := range good {
			length := 7000.0
			if i == len(good)-1 {
				length = 4000
			}
			total := good[i].Value + wrong[i].Value
			if total > length || c.TreatUncertainAsBad && total != length {
				t.Fatalf("interval %d: good %v ms, bad %v ms of %v; %+v", i, good[i].Value, wrong[i].Value, length, c)
			}
			if math.Abs(percentGood[i].Value*length/100-good[i].Value) > 1e-6 ||
				math.Abs(percentBad[i].Value*length/100-wrong[i].Value) > 1e-6 {
				t.Fatalf("interval %d: %v %% and %v %%", i, percentGood[i].Value, percentBad[i].Value)
			}
		}
	})
}

// TestLargerValuesGiveLargerResults raises all values by one.
func TestLargerValuesGiveLargerResults(t *testing.T) {
	shift := map[string]float64{ // what the result grows by
		"Interpolative": 1, "Average": 1, "TimeAverage": 1, "TimeAverage2": 1, "Minimum": 1, "Maximum": 1,
		"MinimumActualTime": 1, "MaximumActualTime": 1, "Minimum2": 1, "Maximum2": 1, "Start": 1, "End": 1,
		"StartBound": 1, "EndBound": 1, "Range": 0, "Range2": 0, "Delta": 0, "DeltaBounds": 0, "Count": 0,
		"NumberOfTransitions": 0, "StandardDeviationSample": 0, "StandardDeviationPopulation": 0,
		"VarianceSample": 0, "VariancePopulation": 0, "DurationGood": 0, "PercentBad": 0, "WorstQuality": 0,
	}
	trials(t, true, func(r *rand.Rand, samples []Value, c Config) {
		raised := make([]Value, len(samples))
		for i, v := range samples {
			v.Value++
			raised[i] = v
		}
		for name, by := range shift {
			id := idOf(t, name)
			low := all(t, id, sourceOf(samples), epoch, epoch.Add(minute), 6*time.Second, c)
			high := all(t, id, sourceOf(raised), epoch, epoch.Add(minute), 6*time.Second, c)
			for i, want := range low {
				if want.HasValue {
					want.Value += by
				}
				if !equal(high[i], want) {
					t.Fatalf("%s, interval %d: got %s, want %s", name, i, show(high[i]), show(want))
				}
			}
		}
	})
}

// TestBackwardIsTheSameData compares with the forward request where no sample lies on an edge.
func TestBackwardIsTheSameData(t *testing.T) {
	const step = 6 * time.Second
	trials(t, false, func(r *rand.Rand, samples []Value, c Config) {
		s := sourceOf(samples)
		c.Stepped = false // else the end bound does not count, and which end that is differs
		for _, id := range List() {
			there := all(t, id, s, epoch, epoch.Add(minute), step, c)
			back := all(t, id, s, epoch.Add(minute), epoch, step, c)
			for i, got := range back {
				want := there[len(there)-1-i]
				switch Name(id) {
				case "Interpolative":
					if i == 0 {
						continue
					}
					want = there[len(there)-i]
				case "StartBound", "EndBound", "MinimumActualTime2", "MaximumActualTime2":
					continue // the ends change places
				case "DeltaBounds":
					want.Value = -want.Value
				}
				if got.Time.Equal(want.Time.Add(step)) {
					want.Time = got.Time
				}
				if !equal(got, want) {
					t.Fatalf("%s, interval %d: got %s, forward %s", Name(id), i, show(got), show(want))
				}
			}
		}
	})
}
