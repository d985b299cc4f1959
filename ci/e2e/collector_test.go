package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// otelcol is built by ci/setup.sh.
const otelcol = "../peers/collector/otelcol"

// taken is a metric that the OpenTelemetry Collector took, as its exporter debug prints it.
type taken struct{ unit, kind, points string }

var takenField = regexp.MustCompile(`(?m)^     -> (Name|Unit|DataType): (.*)$`)

// newestOf returns what the collector printed of a role's newest export, which an empty line
// ends.
func newestOf(printed, instance string) map[string]taken {
	list := map[string]taken{}
	at := strings.LastIndex(printed, "service.instance.id: Str("+instance+")")
	if at < 0 {
		return list
	}
	export, _, _ := strings.Cut(printed[at:], "\n\n")
	for _, text := range strings.Split(export, "\nMetric #")[1:] {
		var name string
		var one taken
		for _, f := range takenField.FindAllStringSubmatch(text, 3) {
			switch f[1] {
			case "Name":
				name = f[2]
			case "Unit":
				one.unit = strings.TrimSpace(f[2])
			case "DataType":
				one.kind = f[2]
			}
		}
		_, one.points, _ = strings.Cut(text, "DataPoints #0")
		list[name] = one
	}
	return list
}

// TestTheCollectorTakesWhatRolesExport has the OpenTelemetry Collector, with the settings that it
// comes with but for its port, receive from both roles, and compares names, units and values
// with /metrics.
func TestTheCollectorTakesWhatRolesExport(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(otelcol); err != nil {
		t.Skip("not proved: the OpenTelemetry Collector takes what is exported, because ci/setup.sh has not built it")
	}
	dir, address, lines := t.TempDir(), await.FreeAddress(t), await.FreePort(t)
	config, file := filepath.Join(dir, "otelcol.yaml"), filepath.Join(dir, "printed")
	rig.Write(t, config, []byte("receivers: {otlp: {protocols: {http: {endpoint: \""+address+"\"}}}}\n"+
		"exporters: {debug: {verbosity: detailed, use_internal_logger: false}}\n"+
		"service:\n  telemetry: {metrics: {level: none}}\n"+
		"  pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}\n"))
	printed, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = printed.Close() }()
	c := exec.Command(otelcol, "--config", config)
	c.Stdout = printed
	rig.Launch(t, c)
	await.NoError(t, "the collector listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	export := fmt.Sprintf("[telemetry]\nendpoint = \"http://%s\"\ninterval = \"5s\"\n", address)
	tx := fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nlisten = [\"udp://127.0.0.1:%d\"]\n", lines)
	g := newGateway(t, linktest.Profile{}, tx+export, oneRX+export)
	g.Start()
	g.Ready()
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", lines))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 3 {
		if _, err := fmt.Fprint(conn, "<13>a line"); err != nil {
			t.Fatal(err)
		}
	}
	for name, role := range map[string]*rig.Role{"test-tx": g.TX, "test-rx": g.RX} {
		await.NoError(t, "what "+name+" exports", func() error {
			body, _, err := role.Get("/metrics")
			if err != nil {
				return err
			}
			return compareTaken(newestOf(string(rig.Read(t, file)), name), body, name == "test-rx")
		})
	}
}

// compareTaken returns how what was taken differs from /metrics: a name that one alone has, a unit
// that the name does not end in, a value.
func compareTaken(list map[string]taken, metrics string, rx bool) error {
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\w+)$`).FindAllStringSubmatch(metrics, -1) {
		kind := map[string]string{"counter": "Sum", "gauge": "Gauge", "histogram": "Histogram"}[m[2]]
		if got := list[m[1]]; got.kind != kind {
			return fmt.Errorf("%s: got a %q, want a %q; %d metrics taken", m[1], got.kind, kind, len(list))
		}
	}
	for name, m := range list {
		end := map[string]string{"s": "_seconds", "By": "_bytes", "Cel": "_celsius", "%": "_percent"}[m.unit]
		stem := strings.TrimSuffix(name, "_total")
		if !strings.Contains(metrics, "# TYPE "+name+" ") || !strings.HasSuffix(stem, end) ||
			m.unit == "" && (strings.HasSuffix(stem, "_seconds") || strings.HasSuffix(stem, "_bytes")) {
			return fmt.Errorf("%s with unit %q: /metrics has no such metric", name, m.unit)
		}
	}
	if !rx {
		return nil
	}
	if got := list["heliograph_channel_sent_records_total"].points; !strings.Contains(got, "channel: Str(log)") ||
		!strings.Contains(got, "Value: 3.000000") {
		return fmt.Errorf("sent: got %q, want 3 of channel log", got)
	}
	return compareDelay(list["heliograph_link_delay_seconds"].points)
}

// compareDelay returns what is wrong with the histogram of the link's delay.
func compareDelay(points string) error {
	var counts []int
	for _, m := range regexp.MustCompile(`(?:Count|, Count): (\d+)`).FindAllStringSubmatch(points, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return err
		}
		counts = append(counts, n)
	}
	bounds := strings.Count(points, "ExplicitBounds #")
	if len(counts) != bounds+2 || bounds == 0 {
		return fmt.Errorf("delay: got %d counts for %d bounds", len(counts), bounds)
	}
	sum := 0
	for _, n := range counts[1:] {
		sum += n
	}
	if counts[0] == 0 || sum != counts[0] {
		return fmt.Errorf("delay: got %v, want a sum of %d, above 0", slices.Clip(counts[1:]), counts[0])
	}
	return nil
}
