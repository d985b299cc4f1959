package main

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"heliograph/tools/monitoring"
	"heliograph/tools/pair"
)

var metrics = monitoring.Metrics()

// wanted reports whether rules or dashboard refer to a metric; of a histogram they name the
// buckets.
func wanted(name string) bool {
	return slices.Contains(metrics, name) || slices.Contains(metrics, name+"_bucket")
}

// scrape adds what Prometheus would store of one target: its metrics with the labels
// of the target, and whether it answered.
func scrape(to map[string]float64, r *pair.Role, instance string) error {
	labels := map[string]string{"job": "heliograph", "instance": instance}
	up := series("up", labels)
	to[up] = 0
	body, code, err := r.Get("/metrics")
	if err != nil || code != http.StatusOK {
		return nil //nolint:nilerr // a target that is down is a result
	}
	to[up] = 1
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("record: /metrics of %s: %v", instance, err)
	}
	for name, family := range families {
		if !wanted(name) {
			continue
		}
		for _, m := range family.Metric {
			all := maps.Clone(labels)
			for _, l := range m.Label {
				all[l.GetName()] = l.GetValue()
			}
			if m.Histogram != nil {
				addHistogram(to, name, all, m.Histogram)
				continue
			}
			to[series(name, all)] = value(m)
		}
	}
	return nil
}

// addHistogram adds the series of a classic histogram.
func addHistogram(to map[string]float64, name string, labels map[string]string, h *dto.Histogram) {
	to[series(name+"_count", labels)] = float64(h.GetSampleCount())
	to[series(name+"_sum", labels)] = rounded(h.GetSampleSum())
	for _, b := range h.Bucket {
		all := maps.Clone(labels)
		all["le"] = strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
		to[series(name+"_bucket", all)] = float64(b.GetCumulativeCount())
	}
}

// value is a counter's or a gauge's value, to a thousandth.
func value(m *dto.Metric) float64 {
	v := m.Gauge.GetValue()
	if m.Counter != nil {
		v = m.Counter.GetValue()
	}
	return rounded(v)
}

func rounded(v float64) float64 { return math.Round(v*1000) / 1000 }

// series writes a name with its labels in order.
func series(name string, labels map[string]string) string {
	var all []string
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, l+"="+strconv.Quote(labels[l]))
	}
	return name + "{" + strings.Join(all, ",") + "}"
}
