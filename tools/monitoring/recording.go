// Package monitoring holds what a site monitors its pairs with: a Grafana dashboard,
// alert rules for Prometheus, and recordings of real pairs, against which the tests
// have promtool evaluate the rules. README.md says how to use them.
//
// A recording is the /metrics of both roles of one run, one line a series:
//
//	# interval 15s
//	# start 1796400000
//	heliograph_peer_up{channel="cell-1",instance="zone-1-rx:9464",job="heliograph"} 1x8 0x31
//
// The values are in promtool's notation for input series: 1x8 is 1 and the same eight
// times more, 5+2x3 is 5 7 9 11, _ is a scrape without the series. Every series begins
// with the first scrape. Command record makes recordings; nothing else writes them.
package monitoring

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed prometheus-rules.yaml
var rules string

//go:embed grafana-dashboard.json
var dashboard string

var metricName = regexp.MustCompile(`\b(heliograph_\w+|up)\b`)

// Metrics returns the names of the metrics that the rules and the dashboard refer to.
func Metrics() []string {
	names := metricName.FindAllString(rules+dashboard, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// Recording is the series of one run.
type Recording struct {
	Comment  string // what was done to the pair, one line
	Start    time.Time
	Interval time.Duration
	scrapes  int
	series   map[string][]float64 // by name and labels; NaN: the scrape did not have it
}

// Add adds what one scrape of all targets returned, by name and labels.
func (r *Recording) Add(scrape map[string]float64) {
	if r.series == nil {
		r.series = map[string][]float64{}
	}
	for name := range scrape {
		if _, known := r.series[name]; !known {
			r.series[name] = absent(r.scrapes)
		}
	}
	for name := range r.series {
		value, ok := scrape[name]
		if !ok {
			value = math.NaN()
		}
		r.series[name] = append(r.series[name], value)
	}
	r.scrapes++
}

// absent returns n scrapes without a series.
func absent(n int) []float64 {
	return slices.Repeat([]float64{math.NaN()}, n)
}

// Write writes the recording.
func (r *Recording) Write(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# interval %s\n# start %d\n", r.Comment, r.Interval, r.Start.Unix())
	for _, name := range slices.Sorted(maps.Keys(r.series)) {
		fmt.Fprintf(&b, "%s %s\n", name, notation(r.series[name]))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// notation writes values as promtool reads them: runs of equal distance are one term.
func notation(values []float64) string {
	var terms []string
	for i := 0; i < len(values); {
		n := 1 // values from i on that are in the term
		for i+n < len(values) && sameStep(values[i:i+n+1]) {
			n++
		}
		if n == 2 && values[i] != values[i+1] {
			n = 1 // two different values are not a run
		}
		terms = append(terms, term(values[i:i+n]))
		i += n
	}
	return strings.Join(terms, " ")
}

// sameStep reports whether the last value is as far from the one before as the first
// two are from each other, so that the notation gives it exactly.
func sameStep(v []float64) bool {
	last := len(v) - 1
	if math.IsNaN(v[0]) || math.IsNaN(v[last]) {
		return math.IsNaN(v[0]) && math.IsNaN(v[last])
	}
	return v[last] == v[0]+float64(last)*(v[1]-v[0])
}

func term(v []float64) string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	switch {
	case math.IsNaN(v[0]) && len(v) == 1:
		return "_"
	case math.IsNaN(v[0]):
		return fmt.Sprintf("_x%d", len(v))
	case len(v) == 1:
		return number(v[0])
	case v[0] == v[1]:
		return fmt.Sprintf("%sx%d", number(v[0]), len(v)-1)
	case v[1] < v[0]:
		return fmt.Sprintf("%s-%sx%d", number(v[0]), number(v[0]-v[1]), len(v)-1)
	}
	return fmt.Sprintf("%s+%sx%d", number(v[0]), number(v[1]-v[0]), len(v)-1)
}

// Line is a series of a recording as it is written.
type Line struct {
	Name   string // of the metric
	Labels string // {a="b",…}
	Values string
}

// Text is a recording as it is written.
type Text struct {
	Comment  string
	Start    int64 // since 1970, in seconds
	Interval time.Duration
	Lines    []Line
}
