package aggregate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// numbers makes Good samples from pairs of a second after epoch and a value.
func numbers(pairs ...float64) (out []Value) {
	for i := 0; i < len(pairs); i += 2 {
		at := epoch.Add(time.Duration(pairs[i] * float64(time.Second)))
		out = append(out, Value{Time: at, Value: pairs[i+1], HasValue: true})
	}
	return out
}

// described is results as text: seconds after epoch, value, status.
func described(values []Value) string {
	var out []string
	for _, v := range values {
		text := "-"
		if v.HasValue {
			text = fmt.Sprintf("%g", v.Value)
		}
		out = append(out, fmt.Sprintf("%g: %s %s", v.Time.Sub(epoch).Seconds(), text, codeName(v.Status)))
	}
	return strings.Join(out, "; ")
}

// codeName writes a status as the examples do, with one letter a bit.
func codeName(c ua.StatusCode) string {
	names := map[ua.StatusCode]string{
		ua.StatusOK: "Good", ua.StatusBad: "Bad", ua.StatusBadNoData: "NoData", ua.StatusUncertain: "Uncertain",
		ua.StatusUncertainDataSubNormal: "SubNormal", ua.StatusBadDataLost: "DataLost",
	}
	out := names[c&codeMask]
	if c&infoTypeMask == infoTypeDataValue {
		out += "|"
		for i, letter := range "CIPEM" {
			if c&(1<<i) != 0 {
				out += string(letter)
			}
		}
	}
	return out
}

func TestIntervalsOfARequest(t *testing.T) {
	data := numbers(-5, 1, 0, 2, 4, 3, 10, 4, 12, 5, 20, 6, 25, 7)
	for _, c := range []struct {
		name             string
		start, end, step float64
		want             string
	}{
		{"interval divides the range", 0, 20, 10, "0: 2 Good|C; 10: 2 Good|C"},
		{"the rest is a partial interval", 0, 15, 10, "0: 2 Good|C; 10: 2 Good|CP"},
		{"interval 0 is one interval", 0, 15, 0, "0: 4 Good|C"},
		{"an interval above the range is one interval", 0, 15, 60, "0: 4 Good|C"},
		{"an interval that equals the range is one interval", 0, 15, 15, "0: 4 Good|C"},
		{"backward includes the later edge", 20, 0, 10, "20: 2 Good|C; 10: 2 Good|C"},
		{"backward, the rest is the earliest interval", 20, 5, 10, "20: 2 Good|C; 10: 1 Good|CP"},
		{"backward, interval 0 is one interval", 20, 5, 0, "20: 3 Good|C"},
		{"before the data", -20, -10, 5, "-20: - NoData; -15: - NoData"},
		{"around the beginning", -10, 0, 8, "-10: 1 Good|CP; -2: 0 Good|CP"},
		{"around the end", 20, 40, 10, "20: 2 Good|CP; 30: - NoData"},
		{"without samples inside the data", 13, 19, 3, "13: 0 Good|C; 16: 0 Good|C"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := func(s float64) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
			step := time.Duration(c.step) * time.Second
			got := all(t, idOf(t, "Count"), sourceOf(data), at(c.start), at(c.end), step, DefaultConfig())
			if described(got) != c.want {
				t.Errorf("got  %s\nwant %s", described(got), c.want)
			}
		})
	}
}

func TestResultsOfOneInterval(t *testing.T) {
	flat := numbers(0, 10, 2, 20, 6, 20, 10, 30)
	lost := append(numbers(0, 10, 4, 20), numbers(6, 0, 8, 40, 12, 80)...)
	lost[2].Status, lost[2].HasValue = ua.StatusBadDataLost, false
	doubt := numbers(-2, 1, 1, 5, 2, 6, 12, 16)
	doubt[2].Status = ua.StatusUncertain
	below := numbers(1, 5, 2, 4, 12, 16)
	below[1].Status = ua.StatusUncertain
	beforeBad := numbers(-2, 1, 5, 0, 6, 3, 12, 3)
	beforeBad[1].Status = ua.StatusBad
	half := Config{TreatUncertainAsBad: true, PercentDataBad: 60, PercentDataGood: 90}
	odd := numbers(-1, 4, 1, math.NaN(), 2, 4, 11, 4)
	text := []Value{{}, {}, {}} // without numbers
	for i, after := range []time.Duration{-time.Second, time.Second, 11 * time.Second} {
		text[i].Time = epoch.Add(after)
	}
	lenient := Config{PercentDataBad: 100, PercentDataGood: 100}
	strict := Config{TreatUncertainAsBad: true, PercentDataBad: 20, PercentDataGood: 90}
	stepped := DefaultConfig()
	stepped.Stepped = true
	for _, c := range []struct {
		name, aggregate string
		data            []Value
		config          Config
		want            string
	}{
		{"minimum at the start is raw", "Minimum", flat, DefaultConfig(), "0: 10 Good"},
		{"maximum twice", "Maximum", flat, DefaultConfig(), "0: 20 Good|CM"},
		{"the oldest of several has its own time", "MaximumActualTime", flat, DefaultConfig(), "2: 20 Good|M"},
		{"the end bound is the highest", "Maximum2", flat, DefaultConfig(), "0: 30 Good|C"},
		{"just before the end", "MaximumActualTime2", flat, DefaultConfig(), "9.999: 30 Good|I"},
		{"stepped ignores the end bound", "Maximum2", flat, stepped, "0: 20 Good|CM"},
		{"a lost piece is bridged", "TimeAverage", lost, DefaultConfig(), "0: 28 SubNormal|C"},
		{"a lost piece is left out", "TimeAverage2", lost, DefaultConfig(), "0: 25 SubNormal|C"},
		{"a lost piece is Bad", "DurationBad", lost, DefaultConfig(), "0: 2000 Good|C"},
		{"a lost piece is the worst", "WorstQuality", lost, DefaultConfig(), "0: 2.1577728e+09 Good|C"},
		{"too much is lost", "TimeAverage2", lost, strict, "0: - Bad|C"},
		{"too many are lost", "Average", lost, strict, "0: - Bad|C"},
		{"too many are lost to count", "Count", lost, strict, "0: - Bad"},
		{"start and end keep their status", "End", lost[:3], DefaultConfig(), "6: - DataLost|P"},
		{"an Uncertain value is skipped", "Average", doubt, lenient, "0: 5 SubNormal|C"},
		{"an Uncertain value above the maximum", "Maximum", doubt, lenient, "0: 5 SubNormal|C"},
		{"an Uncertain value above the minimum", "Minimum", doubt, lenient, "0: 5 Good|C"},
		{"an Uncertain value below the minimum", "Minimum", below, lenient, "0: 5 SubNormal|CP"},
		{"an Uncertain bound treated as Bad is no extreme", "Minimum2", beforeBad, DefaultConfig(),
			"0: 3 SubNormal|CM"},
		{"an Uncertain bound treated as Bad is not a state", "DurationInStateNonZero", beforeBad, half, "0: - Bad|C"},
		{"an Uncertain value is a transition", "NumberOfTransitions", doubt, lenient, "0: 2 SubNormal|C"},
		{"an Uncertain value treated as Bad is none", "NumberOfTransitions", doubt, DefaultConfig(),
			"0: 1 SubNormal|C"},
		{"not a number is Bad", "Average", odd, DefaultConfig(), "0: 4 SubNormal|C"},
		{"not a number counts as a value", "Count", odd, DefaultConfig(), "0: 2 Good|C"},
		{"text is counted", "Count", text, stepped, "0: 1 Good|C"},
		{"text lasts", "DurationGood", text, stepped, "0: 10000 Good|C"},
		{"text has no average", "Average", text, stepped, "0: - NoData"},
		{"no samples", "TimeAverage", nil, DefaultConfig(), "0: - NoData"},
		{"one sample after the interval", "Interpolative", numbers(20, 1), DefaultConfig(), "0: - NoData"},
		{"one sample before the interval", "Interpolative", numbers(-1, 1), DefaultConfig(), "0: 1 SubNormal|I"},
		{"stepped is never sloped", "Interpolative", numbers(-2, 1, -1, 2), Config{PercentDataBad: 100,
			PercentDataGood: 100, Stepped: true, UseSlopedExtrapolation: true}, "0: 2 SubNormal|I"},
		{"stepped holds until the Bad sample", "Interpolative", beforeBad[:2], stepped, "0: 1 Good|I"},
		{"the end of the data lasts a millisecond", "Total2", numbers(0, 5), DefaultConfig(), "0: 0.005 Good|CP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := all(t, idOf(t, c.aggregate), sourceOf(c.data), epoch, epoch.Add(10*time.Second), 0, c.config)
			if described(got) != c.want {
				t.Errorf("got %s, want %s", described(got), c.want)
			}
		})
	}
}

func TestBackwardResultsOfOneInterval(t *testing.T) {
	falling := numbers(-1, 9, 3, 1, 12, 1)
	stepped := DefaultConfig()
	stepped.Stepped = true
	for _, c := range []struct {
		name, aggregate string
		data            []Value
		config          Config
		want            string
	}{
		{"minimum at the start, which is the later edge", "Minimum", numbers(0, 0, 5, 3, 10, 2), DefaultConfig(),
			"10: 2 Good"},
		{"the earlier edge is outside", "Minimum", numbers(0, 0, 5, 3, 12, 2), DefaultConfig(), "10: 3 Good|C"},
		{"just after the end", "MaximumActualTime2", falling, DefaultConfig(), "0.001: 7 Good|I"},
		{"stepped ignores the end bound", "Maximum2", falling, stepped, "10: 1 Good|CM"},
		{"the start bound is the later one", "StartBound", falling, stepped, "10: 1 Good|I"},
		{"the end bound is the earlier one", "EndBound", falling, stepped, "10: 9 Good|C"},
		{"Start is the earliest", "Start", numbers(0, 0, 5, 3, 10, 2), DefaultConfig(), "5: 3 Good"},
		{"Delta runs with time", "Delta", numbers(0, 0, 5, 3, 10, 2), DefaultConfig(), "10: -1 Good|C"},
		{"after the end of the data", "TimeAverage", numbers(-1, 1, 0, 1), DefaultConfig(), "10: - NoData"},
		{"the data ends inside", "TimeAverage", numbers(-1, 1, 5, 1), DefaultConfig(), "10: 1 SubNormal|CP"},
		{"the data begins inside", "TimeAverage2", numbers(5, 1, 12, 1), DefaultConfig(), "10: 1 SubNormal|CP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := all(t, idOf(t, c.aggregate), sourceOf(c.data), epoch.Add(10*time.Second), epoch, 0, c.config)
			if described(got) != c.want {
				t.Errorf("got %s, want %s", described(got), c.want)
			}
		})
	}
}

func TestARawValueKeepsItsVariant(t *testing.T) {
	data := numbers(-1, 0, 0, 3, 2, 5, 4, 1, 12, 2, 13, 7, 14, 3)
	for i := range data {
		data[i].Raw = fmt.Sprint(data[i].Value)
	}
	for _, c := range []struct {
		aggregate  string
		start, end int
		want       any
	}{
		{"Start", 0, 10, "3"}, {"End", 0, 10, "1"}, {"Minimum", 0, 10, "1"}, {"Maximum", 0, 10, "5"},
		{"MinimumActualTime", 0, 10, "1"},
		{"Minimum2", 0, 10, "1"}, {"Maximum2", 0, 10, "5"}, {"StartBound", 0, 10, "3"}, {"Interpolative", 0, 10, "3"},
		{"Interpolative", 1, 10, nil}, {"StartBound", 1, 10, nil}, {"EndBound", 0, 10, nil}, {"Minimum2", 5, 10, nil},
		{"Range", 0, 10, nil}, {"Delta", 0, 10, nil}, {"Average", 0, 10, nil}, {"Count", 0, 10, nil},
		{"Maximum2", 5, 13, "7"}, {"MaximumActualTime2", 5, 13, "7"}, {"Maximum2", 5, 12, "2"},
	} {
		start := epoch.Add(time.Duration(c.start) * time.Second)
		end := epoch.Add(time.Duration(c.end) * time.Second)
		got := all(t, idOf(t, c.aggregate), sourceOf(data), start, end, 0, DefaultConfig())
		if got[0].Raw != c.want {
			t.Errorf("%s from second %d: got %v, want %v", c.aggregate, c.start, got[0].Raw, c.want)
		}
	}
}

func TestBitsOfASampleAreReplaced(t *testing.T) {
	const limitHigh = 0x200
	data := numbers(0, 1, 10, 2, 20, 3)
	data[0].Status = ua.StatusOK | 0x400 | limitHigh | 0x12 // interpolated, multiple values
	got := all(t, idOf(t, "Start"), sourceOf(data), epoch, epoch.Add(20*time.Second), 10*time.Second, DefaultConfig())
	if want := ua.StatusCode(0x400 | limitHigh); got[0].Status != want {
		t.Errorf("got %#x, want %#x", uint32(got[0].Status), uint32(want))
	}
}

func TestRefusedRequests(t *testing.T) {
	end := epoch.Add(time.Hour)
	for _, c := range []struct {
		name       string
		id         uint32
		start, end time.Time
		interval   time.Duration
		config     Config
		want       ua.StatusCode
	}{
		{"unknown aggregate", 2351, epoch, end, 0, DefaultConfig(), ua.StatusBadAggregateNotSupported},
		{"start is end", 2342, epoch, epoch, 0, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"start is end in ticks", 2342, epoch, epoch.Add(99), 0, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"negative interval", 2342, epoch, end, -1, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"interval below a tick", 2342, epoch, end, 99, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"year 1", 2342, time.Time{}, end, 0, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"year 10000", 2342, epoch, epoch.AddDate(8000, 0, 0), 0, DefaultConfig(), ua.StatusBadInvalidArgument},
		{"percentages above 100", 2342, epoch, end, 0, Config{PercentDataGood: 101},
			ua.StatusBadAggregateInvalidInputs},
		{"percentages that decide nothing", 2342, epoch, end, 0, Config{PercentDataBad: 80, PercentDataGood: 19},
			ua.StatusBadAggregateInvalidInputs},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Compute(c.id, steady(10), c.start, c.end, c.interval, c.config, accept)
			var code ua.StatusCode
			if !errors.As(err, &code) || code != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestErrorsOfTheSourceEndTheComputation(t *testing.T) {
	broken := errors.New("torn block")
	bad := func(yield func(Value, error) bool) {
		if yield(numbers(0, 1)[0], nil) {
			yield(Value{}, broken)
		}
	}
	disorder := sourceOf(numbers(1, 1, 0, 1))
	for _, id := range List() {
		for _, end := range []time.Time{epoch.Add(time.Minute), epoch.Add(-time.Minute)} {
			start := epoch.Add(30 * time.Second)
			if err := Compute(id, bad, start, end, 0, DefaultConfig(), accept); !errors.Is(err, broken) {
				t.Errorf("%s: got %v, want %v", Name(id), err, broken)
			}
			if err := Compute(id, disorder, start, end, 0, DefaultConfig(), accept); err == nil {
				t.Errorf("%s: disorder is not refused", Name(id))
			}
		}
	}
}

func TestReadingStopsWhenAllIsKnown(t *testing.T) {
	for _, id := range List() {
		read := 0
		s := func(yield func(Value, error) bool) {
			steady(1000)(func(v Value, err error) bool {
				read++
				return yield(v, err)
			})
		}
		for _, end := range []time.Time{epoch.Add(20 * time.Second), epoch.Add(time.Second)} {
			read = 0
			start := epoch.Add(5 * time.Second)
			if all(t, id, s, start, end, time.Second, DefaultConfig()); read > 23 {
				t.Errorf("%s: %d samples read", Name(id), read)
			}
		}
		read = 0
		refuse := func(Value) bool { return false }
		err := Compute(id, s, epoch, epoch.Add(time.Hour), time.Second, DefaultConfig(), refuse)
		if err != nil || read > 3 {
			t.Errorf("%s: %d samples read after emit returned false; error %v", Name(id), read, err)
		}
	}
}

func TestCatalog(t *testing.T) {
	ids := List()
	for i, id := range ids {
		if !Supported(id) || Name(id) == "" || i > 0 && id <= ids[i-1] {
			t.Errorf("i=%d %q is not listed properly", id, Name(id))
		}
	}
	if len(ids) != 35 || Supported(2351) || Name(2351) != "" || Numeric(2351) || Result(2351) != TypeDouble {
		t.Errorf("%d aggregates; AnnotationCount is supported: %v", len(ids), Supported(2351))
	}
	if Result(2364) != TypeStatus || Result(2352) != TypeInt32 || Result(2341) != TypeOfSource || Numeric(2352) {
		t.Error("wrong type of WorstQuality, Count or Interpolative")
	}
}
