package aggregate

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// excluded returns the rows of AggregateExamples.csv that are not followed, as aggregate, historian
// and time, each with the reason.
func excluded() map[string]string {
	out := map[string]string{}
	for _, x := range []struct {
		why  string
		rows []string
	}{
		{"the table is stepped; the line of Total is always sloped (§5.4.3.8), as that of TimeAverage for the same " +
			"historian", totalOfHistorian3()},
		{"Bad because of UseSlopedExtrapolation, which simple bounds ignore (§4.2.1.2); Good for the other historians",
			[]string{"TimeAverage2 Historian2 12:01:30.000", "Total2 Historian2 12:01:30.000"}},
		{"an Uncertain value above the maximum makes the status Uncertain (§5.4.3.11, §5.4.3.13, §5.4.3.14)",
			[]string{"Maximum Historian5 12:01:04.000", "MaximumActualTime Historian5 12:01:12.000",
				"Range Historian5 12:01:04.000"}},
		{"the first region has the status of the sample at or before the start, which is Good (§5.4.3.31); the " +
			"table has that of the simple bounding value, and parts that do not add up to the whole",
			[]string{"DurationGood Historian1 12:00:32.000", "DurationGood Historian1 12:01:04.000",
				"PercentGood Historian1 12:00:32.000", "PercentGood Historian1 12:01:04.000"}},
		{"the sample before the start is Uncertain and treated as Bad, as in the table of Historian2",
			[]string{"DurationBad Historian3 12:01:20.000", "DurationBad Historian4 12:01:20.000",
				"PercentBad Historian3 12:01:20.000", "PercentBad Historian4 12:01:20.000"}},
	} {
		for _, r := range x.rows {
			out[r] = x.why
		}
	}
	return out
}

// totalOfHistorian3 is the whole table but for the last two rows, where sloped and stepped agree.
func totalOfHistorian3() (rows []string) {
	for second := 0; second < 90; second += 5 {
		rows = append(rows, fmt.Sprintf("Total Historian3 12:%02d:%02d.000", second/60, second%60))
	}
	return rows
}

// table is one example: an aggregate of a historian.
type table struct {
	aggregate, historian string
	interval             time.Duration
	config               Config
	rows                 []row
}

// row is a line of a table, or a raw sample.
type row struct{ time, value, status string }

// readExamples returns the raw data by historian, and the tables.
func readExamples(t *testing.T) (map[string][]Value, []*table) {
	t.Helper()
	f, err := os.Open("testdata/AggregateExamples.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []*table
	current := &table{}
	aggregate := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		key, rest, _ := strings.Cut(line, ",")
		switch {
		case key == "Aggregate":
			aggregate = rest
		case strings.HasPrefix(line, "Historian"):
			current = &table{aggregate: aggregate, historian: key}
			all = append(all, current)
		case strings.HasSuffix(key, " "):
			current.set(t, strings.TrimSpace(key), rest)
		case strings.HasPrefix(key, "12:"):
			value, rest, _ := strings.Cut(rest, ",")
			current.rows = append(current.rows, row{key, value, strings.Split(rest, `"`)[1]})
		}
	}
	raw := map[string][]Value{}
	var tables []*table
	for _, x := range all {
		if x.aggregate == "" {
			raw[x.historian] = samplesOf(t, x.rows)
		} else {
			tables = append(tables, x)
		}
	}
	return raw, tables
}

func (x *table) set(t *testing.T, key, value string) {
	t.Helper()
	n, _ := strconv.Atoi(value)
	switch key {
	case "Processing Interval":
		x.interval = time.Duration(n) * time.Millisecond
	case "Stepped":
		x.config.Stepped = value == "true"
	case "Treat Uncertain as Bad":
		x.config.TreatUncertainAsBad = value == "true"
	case "Percent Bad":
		x.config.PercentDataBad = uint8(n)
	case "Percent Good":
		x.config.PercentDataGood = uint8(n)
	case "Use Sloped Extrapolation":
		x.config.UseSlopedExtrapolation = value == "true"
	default:
		t.Fatalf("unknown setting %q", key)
	}
}

// samplesOf reads raw data. The first row, "Point created", is where the data begins; it is not a
// sample.
func samplesOf(t *testing.T, rows []row) (out []Value) {
	t.Helper()
	for _, r := range rows {
		if r.status == "Bad_NoData" {
			continue
		}
		v := Value{Time: clock(t, r.time), Status: statusOf(t, r.status)}
		v.Value, v.HasValue = number(r.value)
		out = append(out, v)
	}
	return out
}

// clock reads a time of the day of the examples.
func clock(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse("15:04:05.999", s)
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(2012, 1, 2, d.Hour(), d.Minute(), d.Second(), d.Nanosecond(), time.UTC)
}

func number(s string) (float64, bool) {
	switch s {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// statusOf reads a status as the examples write it.
func statusOf(t *testing.T, s string) ua.StatusCode {
	t.Helper()
	var code, bits ua.StatusCode
	for _, word := range strings.Split(s, ", ") {
		switch word {
		case "Good":
		case "Bad":
			code = ua.StatusBad
		case "BadNoData":
			code = ua.StatusBadNoData
		case "Uncertain":
			code = ua.StatusUncertain
		case "UncertainDataSubNormal":
			code = ua.StatusUncertainDataSubNormal
		case "Calculated":
			bits |= 0x401
		case "Interpolated":
			bits |= 0x402
		case "Partial":
			bits |= 0x404
		case "MultipleValues":
			bits |= 0x410
		default:
			t.Fatalf("unknown status %q", word)
		}
	}
	return code | bits
}

// want returns the result that a row shows.
func (r row) want(t *testing.T, aggregate string) Value {
	t.Helper()
	v := Value{Time: clock(t, r.time), Status: statusOf(t, r.status)}
	if aggregate == "WorstQuality" && r.value != "" {
		v.Value, v.HasValue = float64(statusOf(t, r.value)), true
		return v
	}
	v.Value, v.HasValue = number(r.value)
	return v
}

// same compares with the precision of the examples.
func same(got, want Value) bool {
	return got.Time.Equal(want.Time) && got.Status == want.Status && got.HasValue == want.HasValue &&
		(!want.HasValue || math.Abs(got.Value-want.Value) < 0.0011)
}

func show(v Value) string {
	if !v.HasValue {
		return fmt.Sprintf("%s - %#x", v.Time.Format("04:05.000"), uint32(v.Status))
	}
	return fmt.Sprintf("%s %.4f %#x", v.Time.Format("04:05.000"), v.Value, uint32(v.Status))
}

func idOf(t *testing.T, name string) uint32 {
	t.Helper()
	for _, id := range List() {
		if Name(id) == name {
			return id
		}
	}
	t.Fatalf("no aggregate %q", name)
	return 0
}

// sourceOf serves samples in their order.
func sourceOf(samples []Value) Source {
	return func(yield func(Value, error) bool) {
		for _, v := range samples {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func TestExamplesOfPart13(t *testing.T) {
	raw, tables := readExamples(t)
	left := excluded()
	rows := 0
	for _, x := range tables {
		t.Run(x.aggregate+"/"+x.historian, func(t *testing.T) {
			start := clock(t, "12:00:00")
			end := start.Add(time.Duration(len(x.rows)) * x.interval)
			i := 0
			err := Compute(idOf(t, x.aggregate), sourceOf(raw[x.historian]), start, end, x.interval, x.config,
				func(got Value) bool {
					if i >= len(x.rows) {
						t.Fatalf("result %d of %d: %s", i+1, len(x.rows), show(got))
					}
					want := x.rows[i].want(t, x.aggregate)
					name := x.aggregate + " " + x.historian + " " + x.rows[i].time
					why, out := left[name]
					delete(left, name)
					if i++; same(got, want) == out {
						t.Errorf("%s: got %s, want %s; excluded: %q", name, show(got), show(want), why)
					}
					rows++
					return true
				})
			if err != nil || i != len(x.rows) {
				t.Fatalf("got %d results, error %v; want %d", i, err, len(x.rows))
			}
		})
	}
	for name := range left {
		t.Errorf("excluded row %q does not exist", name)
	}
	t.Logf("%d rows of %d tables, %d excluded", rows, len(tables), len(excluded()))
}
