package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"heliograph/ci/await"
	"heliograph/ci/rig/otlp"
)

// registry has a counter, a histogram, a gauge with a label, and a metric of a type that is
// not exported.
func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	frames := prometheus.NewCounter(prometheus.CounterOpts{Name: "heliograph_link_frames_total", Help: "Frames."})
	frames.Add(41)
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "heliograph_peer_up", Help: "Up."}, []string{"channel"})
	up.WithLabelValues("cell-1").Set(1)
	delay := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "heliograph_link_delay_seconds",
		Buckets: []float64{.5, 2}})
	for _, seconds := range []float64{.25, .5, 1, 8} {
		delay.Observe(seconds)
	}
	r.MustRegister(frames, delay, up, prometheus.NewSummary(prometheus.SummaryOpts{Name: "go_gc_duration_seconds"}))
	return r
}

func exporter(endpoint string) *Exporter {
	return &Exporter{Endpoint: endpoint, Interval: 10 * time.Millisecond, Metrics: registry(),
		Headers:  http.Header{"Authorization": {"Bearer s3cret"}},
		Resource: Resource{"heliograph", "zone-1-rx", "1.2.3"}, Log: slog.New(slog.DiscardHandler)}
}

// run runs an exporter until the test ends.
func run(t *testing.T, e *Exporter) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestTheCollectorGetsWhatMetricsShow(t *testing.T) {
	got := make(chan *metricspb.MetricsData, 1)
	collector := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, want := range map[string]string{"Content-Type": "application/x-protobuf",
			"Content-Encoding": "gzip", "Authorization": "Bearer s3cret", "User-Agent": "heliograph/1.2.3"} {
			if has := r.Header.Get(name); has != want {
				t.Errorf("%s: got %q, want %q", name, has, want)
			}
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/metrics" {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		select {
		case got <- otlp.Decode(t, r):
		default:
		}
	}))
	defer collector.Close()
	e := exporter(collector.URL + "/v1/metrics")
	pool := x509.NewCertPool()
	pool.AddCert(collector.Certificate())
	e.TLS = &tls.Config{RootCAs: pool}
	run(t, e)
	resource := await.Receive(t, "an export", got).ResourceMetrics[0]
	attributes := ""
	for _, a := range resource.Resource.Attributes {
		attributes += a.Key + "=" + a.Value.GetStringValue() + " "
	}
	if want := "service.name=heliograph service.instance.id=zone-1-rx service.version=1.2.3 "; attributes != want {
		t.Errorf("resource: got %q, want %q", attributes, want)
	}
	metrics := resource.ScopeMetrics[0].Metrics
	if len(metrics) != 3 {
		t.Fatalf("got %d metrics, want the histogram, the counter and the gauge", len(metrics))
	}
	compareHistogram(t, metrics[0])
	sum, gauge := metrics[1].GetSum(), metrics[2].GetGauge()
	if metrics[1].Name != "heliograph_link_frames_total" || metrics[1].Description != "Frames." || !sum.IsMonotonic ||
		metrics[1].Unit != "" || sum.AggregationTemporality != cumulative {
		t.Errorf("counter: got %v", metrics[1])
	}
	p := sum.DataPoints[0]
	if p.GetAsDouble() != 41 || p.StartTimeUnixNano == 0 || p.TimeUnixNano < p.StartTimeUnixNano {
		t.Errorf("counter: got %v", p)
	}
	if p = gauge.DataPoints[0]; metrics[2].Name != "heliograph_peer_up" || p.GetAsDouble() != 1 ||
		p.Attributes[0].Key != "channel" || p.Attributes[0].Value.GetStringValue() != "cell-1" {
		t.Errorf("gauge: got %v", metrics[2])
	}
	await.True(t, "the export is up", func() bool { return e.Status().State == "up" && e.counts.Sent.Load() > 0 })
}

// roundTrip is a collector in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE

// compareHistogram compares a metric with the registry's histogram.
func compareHistogram(t *testing.T, m *metricspb.Metric) {
	t.Helper()
	h := m.GetHistogram()
	if m.Name != "heliograph_link_delay_seconds" || m.Unit != "s" || h.GetAggregationTemporality() != cumulative {
		t.Fatalf("histogram: got %v", m)
	}
	p := h.DataPoints[0]
	if p.Count != 4 || p.GetSum() != 9.75 || !slices.Equal(p.ExplicitBounds, []float64{.5, 2}) ||
		!slices.Equal(p.BucketCounts, []uint64{2, 1, 1}) || p.StartTimeUnixNano == 0 {
		t.Errorf("histogram: got %v", p)
	}
}

func TestUnitsFollowFromNames(t *testing.T) {
	for name, want := range map[string]string{
		"heliograph_link_bytes_total": "By", "heliograph_replay_window_seconds": "s", "process_cpu_seconds_total": "s",
		"heliograph_board_temperature_celsius": "Cel", "heliograph_link_frames_total": "", "seconds": "s", "": "",
		"heliograph_certificate_expires_timestamp_seconds": "s", "heliograph_build_info": "",
	} {
		if got := unit(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestAFailedExportIsCountedAndSaysWhatToDo(t *testing.T) {
	answer := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		}
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for want, handler := range map[string]http.HandlerFunc{
		"answers 401 Unauthorized: see whether headers_file": answer(http.StatusUnauthorized),
		"answers 404 Not Found: see whether the path":        answer(http.StatusNotFound),
		"answers 307 Temporary Redirect":                     answer(http.StatusTemporaryRedirect),
		"answers 503 Service Unavailable":                    answer(http.StatusServiceUnavailable),
		"EOF":                                                hangUp,
		"certificate":                                        nil, // of an unknown authority
	} {
		t.Run(want, func(t *testing.T) {
			collector := httptest.NewUnstartedServer(handler)
			collector.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
			if handler == nil {
				collector.StartTLS()
			} else {
				collector.Start()
			}
			defer collector.Close()
			e := exporter(collector.URL)
			run(t, e)
			await.True(t, "a failed export", func() bool { return e.counts.Failed.Load() > 1 })
			s := e.Status()
			if s.State != "down" || !strings.Contains(s.Reason, want) || strings.Contains(s.Reason, "\n") {
				t.Errorf("got %+v, want %q", s, want)
			}
			if e.counts.Sent.Load() != 0 || e.Ready() != nil {
				t.Errorf("%d sent, ready %v; want none, and a role that is ready", e.counts.Sent.Load(), e.Ready())
			}
		})
	}
}

// answers is a collector in memory.
type answers struct {
	at     []time.Duration // when it was asked, since the first time
	first  time.Time
	header http.Header
	code   func(n int) int // of the nth request
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.first.IsZero() {
		a.first = time.Now()
	}
	a.at = append(a.at, time.Since(a.first))
	code := a.code(len(a.at))
	if code == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: code, Header: a.header, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// asked has a minute's exporter run for a while, once the bubble's clock is set.
func asked(t *testing.T, a *answers, during time.Duration) *Exporter {
	e := exporter("http://collector:4318/v1/metrics")
	e.Interval, e.transport = time.Minute, a
	time.Sleep(time.Until(clockSet))
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	if err := e.Run(ctx); err != nil {
		t.Error(err)
	}
	return e
}

func TestExportsAreAnIntervalApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{code: func(int) int { return http.StatusOK }}
		asked(t, a, 150*time.Second)
		if len(a.at) != 3 || a.at[2] != 2*time.Minute {
			t.Errorf("got %v, want 0s 1m 2m", a.at)
		}
	})
}

func TestExportsThatFailAreFurtherApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{code: func(int) int { return http.StatusServiceUnavailable }}
		e := asked(t, a, 4*time.Hour)
		last := len(a.at) - 1
		if first, next := a.at[1], a.at[last]-a.at[last-1]; first > 2*time.Minute || next < 5*time.Minute ||
			next > 10*time.Minute {
			t.Errorf("got %s and in the end %s apart, want up to 2m and from 5m to 10m", first, next)
		}
		if e.counts.Failed.Load() != uint64(len(a.at)) {
			t.Errorf("%d failed exports counted, want %d", e.counts.Failed.Load(), len(a.at))
		}
	})
}

func TestTheCollectorSaysWhenToRetry(t *testing.T) {
	for after, want := range map[string]time.Duration{"300": 5 * time.Minute, "60000": 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			a := &answers{code: func(int) int { return http.StatusTooManyRequests },
				header: http.Header{"Retry-After": {after}}}
			asked(t, a, 11*time.Minute)
			if a.at[1] != want {
				t.Errorf("Retry-After: %s: the next export came after %s, want %s", after, a.at[1], want)
			}
		})
	}
}

func TestNothingIsExportedBeforeTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock begins in the year 2000
		e := exporter("http://collector:4318/v1/metrics")
		if err := e.export(t.Context(), e.client(), time.Hour); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("got %v", err)
		}
	})
}

// A board without a battery starts in 1970, and a clock may be set back: counts began as long ago as
// the export has run, by the clock that says when they were taken.
func TestCountsBeganByTheClockOfTheirExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *metricspb.NumberDataPoint
		e := exporter("http://collector:4318/v1/metrics")
		e.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			p = otlp.Decode(t, r).ResourceMetrics[0].ScopeMetrics[0].Metrics[1].GetSum().DataPoints[0]
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
		})
		time.Sleep(time.Until(clockSet))
		for _, c := range []struct{ running, want time.Duration }{
			{time.Hour, time.Hour}, {time.Hour + time.Millisecond, time.Hour}, {3 * time.Hour, 3 * time.Hour},
		} {
			if err := e.export(t.Context(), e.client(), c.running); err != nil {
				t.Fatal(err)
			}
			if got := time.Duration(p.TimeUnixNano - p.StartTimeUnixNano); got != c.want {
				t.Errorf("running for %s: got a start %s before, want %s", c.running, got, c.want)
			}
		}
	})
}

func TestACollectorThatDoesNotAnswerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{code: func(n int) int {
			if n == 1 {
				return 0
			}
			return http.StatusOK
		}}
		e := asked(t, a, 10*time.Minute)
		if e.counts.Failed.Load() != 1 || e.Status().State != "up" {
			t.Errorf("%d failed, %s; want 1, up", e.counts.Failed.Load(), e.Status().State)
		}
	})
}

func TestRejectedPointsAreRead(t *testing.T) {
	success := protowire.AppendTag(nil, 2, protowire.BytesType)
	success = protowire.AppendString(success, "too old")
	success = protowire.AppendTag(success, 1, protowire.VarintType)
	success = protowire.AppendVarint(success, 7)
	answer := protowire.AppendTag(nil, 1, protowire.BytesType)
	answer = protowire.AppendBytes(answer, success)
	for name, c := range map[string]struct {
		answer []byte
		want   uint64
	}{
		"none": {nil, 0}, "some": {answer, 7}, "cut": {answer[:len(answer)-1], 0},
		"not a message": {[]byte("<html>\xff\xff\xff"), 0}, "another type": {[]byte{0x08, 0x07}, 0},
	} {
		if got := rejectedPoints(c.answer); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
