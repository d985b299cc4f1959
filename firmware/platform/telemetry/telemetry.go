// Package telemetry exports a role's metrics to an OpenTelemetry collector over
// OTLP/HTTP: what /metrics shows, with the same names, as protobuf in gzip.
//
// One request every interval carries the metrics of that moment. Nothing is queued:
// counters are cumulative, so that the next export says what a failed one would have.
// After a failure the exports are further apart, as the collector asks by Retry-After
// or else doubling; one that fails never makes a role unready.
//
// The package refuses redirects and proxies, exports while the clock is not set, and to
// read more than the first 64 KiB of an answer. Of metrics it sends counters, gauges and
// classic histograms, with the units that their names end in.
//
// It is not the SDK of OpenTelemetry (go.opentelemetry.io/otel/sdk with otlpmetrichttp):
// that imports 69 packages of gRPC and adds 6 MB to a program of 19 MB. The messages are
// the official ones, go.opentelemetry.io/proto/otlp, without gRPC.
package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// Our own bounds.
const (
	requestTimeout = 10 * time.Second
	idleTimeout    = 90 * time.Second
	maxAnswer      = 64 << 10    // bytes
	maxHeader      = 8 << 10     // bytes of an answer's
	furthest       = 10          // intervals between exports that fail
	clockSlack     = time.Second // that a clock differs by that was not set
)

// clockSet is a time that every clock that was set has passed.
var clockSet = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Exporter is the export, a task.
type Exporter struct {
	Endpoint string // URL
	Headers  http.Header
	TLS      *tls.Config // for https
	Interval time.Duration
	Metrics  prometheus.Gatherer
	Resource Resource
	Log      *slog.Logger

	transport http.RoundTripper // nil: a new one
	began     time.Time         // when the counts did, as exports say it

	counts Counts
	mu     sync.Mutex
	state  status.Telemetry
}

// Counts are the counters of an export.
type Counts struct {
	Sent     atomic.Uint64 `count:"sent_exports" help:"Exports of metrics that the collector took."`
	Failed   atomic.Uint64 `count:"failed_exports" help:"Exports of metrics that did not reach the collector, or that it refused."`
	Rejected atomic.Uint64 `count:"rejected_points" help:"Values that the collector left out of exports that it took."`
}

// Counters implements counter.Source.
func (e *Exporter) Counters() []counter.Set {
	return []counter.Set{counter.Of("telemetry", "", &e.counts)}
}

// String names the task in logs.
func (e *Exporter) String() string { return "telemetry" }

// Ready is always nil: a role does its work without a collector.
func (e *Exporter) Ready() error { return nil }

// Status returns how the export does; nil where there is none.
func (e *Exporter) Status() *status.Telemetry {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.state
	s.Endpoint = e.Endpoint
	if s.State == "" {
		s.State = "connecting"
	}
	return &s
}

// Run exports until ctx ends.
func (e *Exporter) Run(ctx context.Context) error {
	client := e.client()
	defer client.CloseIdleConnections()
	backoff := task.Backoff{First: 2 * e.Interval, Last: furthest * e.Interval}
	started := time.Now()
	for {
		wait := e.Interval
		err := e.export(ctx, client, time.Since(started))
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			backoff.Reset()
		} else {
			wait = backoff.Next()
			if later, ok := errors.AsType[*refusal](err); ok {
				wait = min(max(wait, later.retryAfter), furthest*e.Interval)
			}
		}
		e.note(err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (e *Exporter) client() *http.Client {
	transport := e.transport
	if transport == nil {
		transport = &http.Transport{
			TLSClientConfig: e.TLS, MaxIdleConns: 1, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: maxHeader,
		}
	}
	return &http.Client{
		Timeout: requestTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// export sends the metrics of this moment, when the counts have run for a time.
func (e *Exporter) export(ctx context.Context, client *http.Client, running time.Duration) error {
	now := time.Now()
	if now.Before(clockSet) {
		return errors.New("the clock is not set yet: without a time metrics cannot be exported")
	}
	families, err := e.Metrics.Gather()
	if err != nil {
		return err
	}
	// The clock may have been set since the counts began. To a collector another start is a new count.
	if began := now.Add(-running).Round(0); began.Sub(e.began).Abs() > clockSlack {
		e.began = began
	}
	message, err := proto.Marshal(e.Resource.message(families, e.began, now))
	if err != nil {
		return err
	}
	var body bytes.Buffer
	w := gzip.NewWriter(&body)
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return e.post(ctx, client, &body)
}

func (e *Exporter) post(ctx context.Context, client *http.Client, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Endpoint, body)
	if err != nil {
		return err
	}
	if e.Headers != nil {
		request.Header = e.Headers.Clone()
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", "heliograph/"+e.Resource.Version)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode != http.StatusOK {
		return newRefusal(answer)
	}
	if err != nil {
		return fmt.Errorf("reading the collector's answer: %w", err)
	}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/x-protobuf") {
		e.counts.Rejected.Add(rejectedPoints(content))
	}
	return nil
}

// note counts an export, and logs a change of its state.
func (e *Exporter) note(err error, wait time.Duration) {
	now := status.Telemetry{State: "up"}
	if err == nil {
		e.counts.Sent.Add(1)
	} else {
		e.counts.Failed.Add(1)
		now = status.Telemetry{State: "down", Reason: oneLine(err.Error())}
	}
	e.mu.Lock()
	before := e.state
	e.state = now
	e.mu.Unlock()
	switch {
	case before.State == now.State:
	case err == nil:
		e.Log.Info("metrics exported", "component", "telemetry", "state", now.State)
	default:
		e.Log.Warn("metrics not exported", "component", "telemetry", "state", now.State, "error", now.Reason,
			"retry", wait)
	}
}

// refusal is an answer other than 200.
type refusal struct {
	text       string
	retryAfter time.Duration
}

func (r *refusal) Error() string { return r.text }

func newRefusal(answer *http.Response) *refusal {
	r := &refusal{text: "the collector answers " + strconv.Itoa(answer.StatusCode)}
	if text := http.StatusText(answer.StatusCode); text != "" {
		r.text += " " + text
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		r.text += ": see whether headers_file has its login or token"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		r.text += ": see whether the path of endpoint is the collector's for metrics over OTLP/HTTP"
	}
	if seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16); err == nil {
		r.retryAfter = time.Duration(seconds) * time.Second
	}
	return r
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
