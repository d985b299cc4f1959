package main

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"heliograph/tools/monitoring"
	"heliograph/tools/pair"
)

// wanted matches the metrics that rules and dashboard refer to.
var wanted = regexp.MustCompile(`^(` + strings.Join(monitoring.Metrics(), "|") + `)$`)

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
		if !wanted.MatchString(name) {
			continue
		}
		for _, m := range family.Metric {
			all := maps.Clone(labels)
			for _, l := range m.Label {
				all[l.GetName()] = l.GetValue()
			}
			to[series(name, all)] = value(m)
		}
	}
	return nil
}

// value is a counter's or a gauge's value, to a thousandth.
func value(m *dto.Metric) float64 {
	v := m.Gauge.GetValue()
	if m.Counter != nil {
		v = m.Counter.GetValue()
	}
	return math.Round(v*1000) / 1000
}

// series writes a name with its labels in order.
func series(name string, labels map[string]string) string {
	var all []string
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, l+"="+strconv.Quote(labels[l]))
	}
	return name + "{" + strings.Join(all, ",") + "}"
}
