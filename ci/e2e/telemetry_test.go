package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"heliograph/ci/rig/otlp"
)

// telemetry is an OpenTelemetry collector: it decodes what roles export with the
// official messages of OTLP.
type telemetry struct {
	URL string

	mu    sync.Mutex
	names map[string]map[string]bool // of metrics, by service.instance.id
}

func newTelemetry(t *testing.T) *telemetry {
	c := &telemetry{names: map[string]map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.add(otlp.Decode(t, r))
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *telemetry) add(data *metricspb.MetricsData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range data.ResourceMetrics {
		names := map[string]bool{}
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.instance.id" {
				c.names[a.Value.GetStringValue()] = names
			}
		}
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				names[m.Name] = true
			}
		}
	}
}

// compare compares what both roles exported when they started with their /metrics.
func (c *telemetry) compare(t *testing.T, metrics string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, instance := range []string{"test-tx", "test-rx"} {
		names := c.names[instance]
		if len(names) < 50 || !names["heliograph_build_info"] {
			t.Errorf("%s exported %d metrics, want more than 50", instance, len(names))
		}
		for name := range names {
			if !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("%s exported %s, which is not in /metrics", instance, name)
			}
		}
	}
}
