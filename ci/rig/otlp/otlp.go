// Package otlp reads what an exporter sends to a collector over OTLP/HTTP, with the official messages.
// It refuses to answer: the test does.
package otlp

import (
	"compress/gzip"
	"io"
	"net/http"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// Decode returns the metrics in a request. What is wrong with them is an error of the test, and
// leaves out the rest.
func Decode(t testing.TB, r *http.Request) *metricspb.MetricsData {
	t.Helper()
	data := &metricspb.MetricsData{}
	body, err := gzip.NewReader(r.Body)
	if err == nil {
		var message []byte
		if message, err = io.ReadAll(body); err == nil {
			err = proto.Unmarshal(message, data)
		}
	}
	if err != nil {
		t.Errorf("OTLP: %v", err)
	}
	return data
}
