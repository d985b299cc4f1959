package status

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/task"
)

var _ task.Task = (*Server)(nil)

func rx() Snapshot {
	hour := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	return Snapshot{Role: "rx", Pair: "press-hall", Version: "v0.1.0", UptimeSeconds: 93784, Clock: "link",
		Channels: map[string]Channel{
			"cell-1": {Protocol: "mqtt", Sent: Of[uint64](1234573), Delivered: Of[uint64](1234567),
				Healed: Of[uint64](1204), HealedEver: Of[uint64](1210),
				OpenHoles: Of[uint64](2), OpenRecords: Of[uint64](1916), Holes: []Hole{
					{From: hour.Add(time.Hour), To: hour.Add(time.Hour + 20*time.Second), Records: 1900},
					{From: hour, To: hour.Add(90 * time.Second), Records: 16},
					{From: hour.Add(-time.Hour), To: hour.Add(-time.Hour + time.Second), Records: 3, Final: true}},
				Conflated: Of[uint64](0), Lost: Of[uint64](1919),
				Unknown: Of[uint64](0), Refused: Of[uint64](2), Expired: Of[uint64](1), Complete: Of(true),
				AgeSeconds: Of(0.4), Keys: Of[uint64](812), SourceState: "up"},
			"syslog": {Protocol: "syslog", Delivered: Of[uint64](99), Conflated: Of[uint64](0), Lost: Of[uint64](0),
				Complete: Of(false), SourceState: "down", SourceReason: "<script>alert(1)</script>"},
		},
		Link: Link{Medium: "udp", Epoch: 7, Frames: 20481, Bytes: 1 << 24, CRCErrors: Of[uint64](12),
			AuthFailures: Of[uint64](1), Replayed: Of[uint64](0),
			Repaired: Of[uint64](1041), Lost: Of[uint64](2), LastHeartbeatAgeSeconds: Of(0.3)},
		Replay: &Replay{WindowSeconds: 13_245, PassSeconds: Of(4.5)},
		Peers: []Peer{
			{Channel: "cell-1", Name: "mqtt sink cell-1", State: "up", Address: "mqtt://it-broker:1883",
				Spool: &Spool{Limit: 64 << 20}},
			{Channel: "syslog", Name: "syslog sink syslog", State: "down", Reason: "connection refused",
				Address: "tcp://siem:601", Spool: &Spool{Bytes: 5 << 20, Limit: 64 << 20, Dropped: 4}},
		},
		Certificates: []Certificate{{Board: "tx", Name: "opcua own",
			Expires: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Counters: []counter.Set{{Part: "syslog_sink", Channel: "syslog", Values: []counter.Value{
			{Name: "resent_lines", Help: "Lines sent again.", Value: 2},
			{Name: "waiting_bytes", Help: "Bytes that wait.", Value: 5, Gauge: true},
			{Name: "cut_lines", Help: "Lines cut."}}}},
		Disk:    &disk.Usage{Bytes: 124 << 20, Free: 10 << 20, Fault: "the disk is nearly full"},
		Release: &release.Running{Version: 7, Name: "v7", Update: &release.Outcome{Version: 7, Result: release.Kept}},
		Notes: []Note{{Time: time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC), Event: "auth_failure",
			Text: "1 frame that is not authentic: wrong key, or an attack"}},
	}
}

func tx() Snapshot {
	return Snapshot{Role: "tx", Pair: "press-hall", Version: "v0.1.0", Clock: "ntp",
		Channels: map[string]Channel{"cell-1": {Sent: Of[uint64](5), QueuedBytes: Of[uint64](9),
			Conflated: Of[uint64](1), Dropped: Of[uint64](2), SourceState: "connecting", SourceReason: "dialling"}},
		Link: Link{Medium: "uart", Frames: 9, Dropped: Of[uint64](0)}}
}

func server(s Snapshot, reasons ...task.Reason) *Server {
	return &Server{Hosts: []string{"example.com"}, Snapshot: func() Snapshot { return s },
		Role: func() task.Reasons { return reasons }, Log: slog.New(slog.DiscardHandler)}
}

func get(t *testing.T, s *Server, method, path string, body io.Reader) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, path, body))
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRoutes(t *testing.T) {
	notReady := task.Reasons{{Part: "mqtt source cell-1", Cause: "connecting"}, {Part: "syslog", Cause: "down"}}
	cases := map[string]struct {
		method, path string
		body         string
		reasons      task.Reasons
		code         int
		want         string
	}{
		"page":          {"GET", "/", "", nil, 200, "<!DOCTYPE html>"},
		"healthz":       {"GET", "/healthz", "", notReady, 200, "ok"},
		"ready":         {"GET", "/readyz", "", nil, 200, "ready"},
		"not ready":     {"GET", "/readyz", "", notReady, 503, "mqtt source cell-1: connecting\nsyslog: down\n"},
		"elsewhere":     {"GET", "/etc/passwd", "", nil, 404, ""},
		"post":          {"POST", "/status.json", "", nil, 405, "read only"},
		"delete":        {"DELETE", "/", "", nil, 405, "read only"},
		"get with body": {"GET", "/", "hello", nil, 400, "no body"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := get(t, server(rx(), c.reasons...), c.method, c.path, strings.NewReader(c.body))
			if got := bodyOf(t, r); r.StatusCode != c.code || !strings.Contains(got, c.want) {
				t.Errorf("got %d %q; want %d %q", r.StatusCode, got, c.code, c.want)
			}
			if got := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
				t.Errorf("got policy %q", got)
			}
		})
	}
}

// The names are a contract: a key that is gone fails here.
func TestStatusJSONKeys(t *testing.T) {
	cases := map[string]struct {
		snapshot Snapshot
		channel  []string
		link     []string
	}{
		"rx": {rx(), []string{"delivered", "conflated", "lost", "complete", "age_seconds", "source_state",
			"source_reason"},
			[]string{"frames", "crc_errors", "auth_failures", "repaired", "lost", "last_heartbeat_age_seconds"}},
		"tx": {tx(), []string{"sent", "conflated", "dropped", "source_state", "source_reason"}, []string{"frames"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := get(t, server(c.snapshot, task.Reason{Part: "a", Cause: "x"}, task.Reason{Part: "b", Cause: "y"}),
				"GET", "/status.json", nil)
			var got struct {
				Role, Pair, Version string
				Ready               bool
				Reasons             []string
				Channels            map[string]map[string]any
				Link                map[string]any
			}
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got.Role != name || got.Ready || !slices.Equal(got.Reasons, []string{"a: x", "b: y"}) {
				t.Errorf("got %+v", got)
			}
			for _, key := range c.channel {
				if _, ok := got.Channels["cell-1"][key]; !ok {
					t.Errorf("channel: no key %q in %v", key, got.Channels["cell-1"])
				}
			}
			for _, key := range c.link {
				if _, ok := got.Link[key]; !ok {
					t.Errorf("link: no key %q in %v", key, got.Link)
				}
			}
		})
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	s := rx()
	s.Channels = map[string]Channel{"c": {SourceState: "connecting"}}
	got := bodyOf(t, get(t, server(s), "GET", "/status.json", nil))
	if strings.Contains(got, "delivered") || strings.Contains(got, "age_seconds") &&
		!strings.Contains(got, "last_heartbeat_age_seconds") {
		t.Errorf("an unknown figure is shown: %s", got)
	}
	metrics := bodyOf(t, get(t, server(s), "GET", "/metrics", nil))
	if strings.Contains(metrics, "heliograph_channel_delivered_records_total") {
		t.Error("an unknown figure is a metric")
	}
}

func TestPageEscapes(t *testing.T) {
	got := bodyOf(t, get(t, server(rx()), "GET", "/", nil))
	if strings.Contains(got, "<script>") || !strings.Contains(got, "&lt;script&gt;") {
		t.Error("what a peer says is not escaped")
	}
	outside := regexp.MustCompile(`(?i)(?:src|href)="([^"]*)|<style|style=|\son\w+=`)
	for _, m := range outside.FindAllStringSubmatch(got, -1) {
		if !strings.HasPrefix(m[1], "/assets/") {
			t.Errorf("the page loads something, or has a script or style of its own: %q", m[0])
		}
	}
}

func TestDiskIsShownEverywhere(t *testing.T) {
	for path, want := range map[string]string{
		"/":            `<dd class="bad">10.0 MiB of 124.0 MiB free <small>the disk is nearly full</small>`,
		"/status.json": `"free_bytes": 10485760`,
		"/metrics":     "heliograph_disk_free_bytes 1.048576e+07",
	} {
		if got := bodyOf(t, get(t, server(rx()), "GET", path, nil)); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", path, want, got)
		}
		if got := bodyOf(t, get(t, server(tx()), "GET", path, nil)); strings.Contains(got, "free_bytes") {
			t.Errorf("%s: a disk that is not known is shown", path)
		}
	}
}

// measured is a link with five heartbeats, one of them beyond all bounds.
func measured() *Measurement {
	return &Measurement{Expected: 9,
		Delay: Histogram{Bounds: []float64{.001, .5}, Counts: []uint64{3, 1, 1}, Sum: Of(2.25)}}
}

func TestTheDelayIsAHistogram(t *testing.T) {
	s := rx()
	s.Measurement = measured()
	const want = `# TYPE heliograph_link_delay_seconds histogram
heliograph_link_delay_seconds_bucket{le="0.001"} 3
heliograph_link_delay_seconds_bucket{le="0.5"} 4
heliograph_link_delay_seconds_bucket{le="+Inf"} 5
heliograph_link_delay_seconds_sum 2.25
heliograph_link_delay_seconds_count 5
`
	if got := bodyOf(t, get(t, server(s), "GET", "/metrics", nil)); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwithout\n%s", got, want)
	}
	for name, h := range map[string]Histogram{"no sum": {Bounds: []float64{1}, Counts: []uint64{3, 1}},
		"a count is missing": {Bounds: []float64{1}, Counts: []uint64{3}, Sum: Of(1.)}} {
		s.Measurement.Delay = h
		if got := bodyOf(t, get(t, server(s), "GET", "/metrics", nil)); strings.Contains(got, "link_delay_seconds") {
			t.Errorf("%s: a histogram that is not whole is shown", name)
		}
	}
}

func TestMetricNames(t *testing.T) {
	names := map[string]bool{}
	trusted := rx()
	trusted.Trust, trusted.ClockSet, trusted.Measurement = &Trust{Level: Partly}, Of(true), measured()
	trusted.Boards = []Board{{Role: "rx", Facts: machine.Facts{UptimeSeconds: 9, Temperature: Of(50.),
		Supply: machine.Fine}}}
	for _, s := range []Snapshot{trusted, tx()} {
		body := get(t, server(s), "GET", "/metrics", nil).Body
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			if name, found := strings.CutPrefix(lines.Text(), "# TYPE heliograph_"); found {
				names["heliograph_"+strings.Fields(name)[0]] = true
			}
		}
	}
	var got []string
	form := regexp.MustCompile(`^heliograph_[a-z]+(_[a-z]+)+$`)
	for name := range names {
		if !form.MatchString(name) {
			t.Errorf("%s does not follow heliograph_<part>_<noun>_<unit>[_total]", name)
		}
		got = append(got, name)
	}
	slices.Sort(got)
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields(string(golden)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant testdata/metrics.txt", strings.Join(got, "\n"))
	}
}

func TestMetricsAreServedWhereACertificateIsListedTwice(t *testing.T) {
	s := rx()
	at := time.Unix(1900000000, 0)
	for _, board := range []string{"tx", "rx", "rx"} {
		s.Certificates = append(s.Certificates, Certificate{Board: board, Name: "opcua trusted plc", Expires: at})
	}
	got := get(t, server(s), "GET", "/metrics", nil)
	if body := bodyOf(t, got); got.StatusCode != http.StatusOK || strings.Count(body, `name="opcua trusted plc"`) != 2 {
		t.Errorf("got %d: %s", got.StatusCode, body)
	}
}

func TestRunServesAndEnds(t *testing.T) {
	s := server(rx())
	s.Listen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for s.Ready() != nil { // binding takes a moment; the test's own timeout bounds it
		time.Sleep(time.Millisecond)
	}
	r, err := http.Get("http://" + s.Address() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	hanging, err := net.Dial("tcp", s.Address()) // a client that says nothing must not hold up the end
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestRunReportsATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := server(rx())
	s.Listen = taken.Addr().String()
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), s.Listen) {
		t.Errorf("got %v, want the address named", err)
	}
}

// Writes the pages for looking at, when asked: STATUS_PAGES=DIR.
func TestPagesForLookingAt(t *testing.T) {
	dir := os.Getenv("STATUS_PAGES")
	if dir == "" {
		dir = t.TempDir()
	}
	for name, s := range map[string]*Server{"rx": server(rx(),
		task.Reason{Part: "syslog sink syslog", Cause: "connection refused"}), "tx": server(tx())} {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(bodyOf(t, get(t, s, "GET", "/", nil))),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
}
