package historyread

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/uabinary"
)

// minutes yields Doubles from 5:00 on, so many in each minute, at equal distances.
func minutes(counts ...int) Source {
	var values [10][]byte
	for i := range values {
		values[i] = appendDataValue(appendNumber(nil, ua.TypeIDDouble, float64(i)), ua.StatusOK, at("5:00"))
	}
	base := at("5:00")
	return func(from, to time.Time, f func(time.Time, []byte) bool) error {
		first, last := uabinary.Ticks(from)-base, uabinary.Ticks(to)-base
		const minute = int64(time.Minute / 100)
		for k := range counts {
			i := k
			if first > last {
				i = len(counts) - 1 - k
			}
			begin := int64(i) * minute
			if begin+minute <= min(first, last) || begin > max(first, last) {
				continue
			}
			for m := range counts[i] {
				if first > last {
					m = counts[i] - 1 - m
				}
				t := begin + int64(m)*minute/int64(counts[i])
				if t < min(first, last) || t > max(first, last) {
					continue
				}
				if !f(uabinary.Time(base+t), values[m%len(values)]) {
					return nil
				}
			}
		}
		return nil
	}
}

// repeat returns n times the same.
func repeat(n, count int) []int { return slices.Repeat([]int{count}, n) }

// TestCostIsThatOfTheResults: a response reads as many samples as it may, or as one result takes; all of
// them read each sample a few times, and give the same results as one computation.
func TestCostIsThatOfTheResults(t *testing.T) {
	const samples = 1000 // that a response may read
	for name, counts := range map[string][]int{
		"few samples":                   repeat(300, 1),
		"an interval is a tenth":        repeat(200, 100),
		"an interval is three quarters": repeat(20, 750),
		"an interval is more":           repeat(10, 1500),
		"dense at the beginning":        append(repeat(6, 900), repeat(200, 2)...),
		"dense at the end":              append(repeat(200, 2), repeat(6, 900)...),
		"one interval is dense":         slices.Concat(repeat(40, 1), repeat(1, 3000), repeat(100, 1)),
		"each other interval is dense":  slices.Repeat([]int{2, 600}, 30),
	} {
		each, all, most := minutes(counts...), 0, slices.Max(counts)
		for _, n := range counts {
			all += n
		}
		end := at("5:00") + int64(len(counts))*int64(time.Minute/100) - 1e8 // the last interval is shorter
		for _, backward := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, backward %v", name, backward), func(t *testing.T) {
				p := Processed{Aggregate: id.AggregateFunction_TimeAverage, Start: at("5:00"), End: end,
					Interval: time.Minute, Config: aggregate.DefaultConfig()}
				if backward {
					p.Start, p.End = p.End, p.Start
				}
				want := p.whole(t, each)
				var got []string
				used, responses := 0, 0
				for more := true; more; responses++ {
					w := Work{Samples: samples, Late: never}
					before := len(got)
					var err error
					more, err = p.Read(each, &w, func(at int64, dv []byte) bool {
						got = append(got, words(at, dv))
						return true
					})
					// The first result may take more than one interval's: the samples around it, and where
					// it is the last one, its neighbour's.
					if err != nil || len(got) == before || w.Used() > samples+2*most+10 {
						t.Fatalf("response %d: %v, %d results of %d samples", responses, err, len(got)-before, w.Used())
					}
					used += w.Used()
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				if used > 5*all+10*len(counts)+samples {
					t.Errorf("read %d samples in %d responses, there are %d", used, responses, all)
				}
			})
		}
	}
}

// whole returns the results of one computation.
func (p *Processed) whole(t *testing.T, each Source) (list []string) {
	t.Helper()
	r := reading{each: each, work: &Work{Samples: 1 << 30, Late: never}, config: p.Config}
	err := aggregate.Compute(p.Aggregate, r.from(min(p.Start, p.End)), uabinary.Time(p.Start), uabinary.Time(p.End),
		p.Interval, p.Config, func(v aggregate.Value) bool {
			list = append(list, words(r.result(aggregate.Result(p.Aggregate), v)))
			return true
		})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestManyIntervalsOfTooManySamples: what is refused is one interval of too many samples, not several that
// have as many together.
func TestManyIntervalsOfTooManySamples(t *testing.T) {
	const intervals = backwardAtOnce + 1
	for name, samples := range map[string]int{"of more work than a response": 100, "of less": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			p := Processed{Aggregate: id.AggregateFunction_Average, Start: at("5:00") + intervals*6e8,
				End: at("5:00"), Interval: time.Minute, Config: aggregate.DefaultConfig()}
			results := 0
			_, err := p.Read(minutes(repeat(intervals, maxSamples/backwardAtOnce+1000)...),
				&Work{Samples: samples, Late: never}, func(int64, []byte) bool {
					results++
					return false
				})
			if err != nil || results != 1 {
				t.Errorf("got %d results, %v; want one", results, err)
			}
		})
	}
}

// TestSamplesOfAResult: the samples of an interval that is computed once more do not count against the one
// beside it.
func TestSamplesOfAResult(t *testing.T) {
	for skip, most := range []int{maxSamples, 2 * maxSamples} {
		r := reading{work: &Work{Late: never}, skip: skip}
		for r.count() == nil {
		}
		if r.since != most+1 {
			t.Errorf("beside %d others: refused after %d samples, want %d", skip, r.since, most)
		}
	}
}

// TestTimeIsLookedAtBeforeTheFirstResult: where the time is over, the intervals that are computed
// together are not all read, and one result is.
func TestTimeIsLookedAtBeforeTheFirstResult(t *testing.T) {
	for _, backward := range []bool{false, true} {
		p := Processed{Aggregate: id.AggregateFunction_Average, Start: at("5:00"), End: at("6:00"),
			Interval: time.Minute, Config: aggregate.DefaultConfig()}
		if backward {
			p.Start, p.End = p.End, p.Start
		}
		w := Work{Samples: 1 << 30, Late: func() bool { return true }}
		more, err := p.Read(minutes(repeat(60, 300)...), &w, func(int64, []byte) bool { return true })
		if !more || err != nil || p.next != 1 || w.Used() > 300+2*checkTimeEvery {
			t.Errorf("backward %v: got %d results of %d samples, more %v, %v; want one", backward, p.next, w.Used(),
				more, err)
		}
	}
}

// TestWorkOfValuesAtTimesIsBounded: a value that many samples are read for waits for the next response,
// unless it is the first.
func TestWorkOfValuesAtTimesIsBounded(t *testing.T) {
	one := func(from, to time.Time, f func(time.Time, []byte) bool) error { // Good, the others are Bad
		return minutes(1, 3000)(from, to, func(t time.Time, dv []byte) bool {
			if tick := uabinary.Ticks(t); tick > at("5:00") {
				dv = appendDataValue(nil, ua.StatusBadDataLost, tick)
			}
			return f(t, dv)
		})
	}
	a := AtTime{Numbers: true, Config: aggregate.DefaultConfig(), Times: []int64{at("5:00"), at("6:00"), at("6:01")}}
	for i := range a.Times {
		w := Work{Samples: 100, Late: never}
		results := 0
		more, err := a.Read(one, &w, func(int64, []byte) bool {
			results++
			return true
		})
		if err != nil || results != 1 || more != (i < len(a.Times)-1) || i == 0 && w.Used() > 110 {
			t.Fatalf("response %d: got %d results of %d samples, more %v, %v; want one", i, results, w.Used(), more,
				err)
		}
	}
}
