package monitoring

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/ci/rig"
)

// expectations are the alerts that fire in each recording, and at which minute they
// fire first. Other alerts do not fire in it; what fires goes on to its end unless an
// end is given, as in "1-7".
//
// A receiver that receives nothing shows the sources as down; a transmitter that ended has
// no metrics of its own. Trust is lost within seconds of a fault,
// and NotTrusted fires two minutes later.
const expectations = `
healthy
bad-link          FramesDamaged@4 LinkLosesFrames@4 LinkMarginLow@4
certificate       CertificateEnds@1
disk-full         DiskNearlyFull@1
link-cut          LinkSilent@3-7 SourceDown@3-7 NotTrusted@4-7
no-replay         LinkSilent@3-4 SourceDown@3-4 RecordsLost@4
no-time           ClockNotSet@5 PartlyTrusted@5
receiver-ended    Down@4
restarts          Restarts@4
sink-down         PeerDown@4 SpoolNearlyFull@5 SpoolDropsRecords@5 NotReady@7 PartlyTrusted@7
slow-heal         LinkSilent@3-4 SourceDown@3-4 HoleOpen@7
slow-link         QueueDropsRecords@3 HoleOpen@6 ChannelIncomplete@8 NotReady@8 PartlyTrusted@8
slow-receiver     ReceiverTooSlow@5-8 LinkLosesFrames@5-8
source-down       SourceDown@3 NotTrusted@4 NotReady@7
transmitter-ended LinkSilent@3 SourceDown@3 Down@4 NotTrusted@4 NotReady@7
wrong-key         SourceDown@1 FramesRefused@2 NotTrusted@2 ChannelIncomplete@5 NotReady@5
`

// written are the alerts on what no machine of ours can be made to show, with a value
// on which each fires.
var written = map[string]string{
	"HeliographBoardHot":  `heliograph_board_temperature_celsius{board="rx",%s} 81`,
	"HeliographSupplyLow": `heliograph_board_supply_state{board="rx",state="low",%s} 1`,
}

// fires is when an alert fires in a recording: from a minute on, before an end.
type fires struct{ from, end int }

// expected returns the alerts of each recording.
func expected(t *testing.T) map[string]map[string]fires {
	all := map[string]map[string]fires{}
	for line := range strings.Lines(strings.TrimSpace(expectations) + "\n") {
		words := strings.Fields(line)
		alerts := map[string]fires{}
		for _, word := range words[1:] {
			name, when, _ := strings.Cut(word, "@")
			from, end, _ := strings.Cut(when, "-")
			f := fires{end: 1000}
			var err error
			if f.from, err = strconv.Atoi(from); err == nil && end != "" {
				f.end, err = strconv.Atoi(end)
			}
			if err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			alerts["Heliograph"+name] = f
		}
		all[words[0]] = alerts
	}
	return all
}

func TestRulesAreValid(t *testing.T) {
	promtool(t, "check", "rules", "prometheus-rules.yaml")
}

func TestTheScrapeConfigurationOfREADMEIsValid(t *testing.T) {
	_, rest, _ := strings.Cut(string(rig.Read(t, "README.md")), "```yaml\n")
	block, _, _ := strings.Cut(rest, "```")
	for _, text := range []string{block, strings.ReplaceAll(block, "    # ", "    ")} {
		text = strings.ReplaceAll(text, "    With [status]", "    # With [status]")
		path := filepath.Join(t.TempDir(), "prometheus.yml")
		rig.Write(t, path, []byte(text))
		promtool(t, "check", "config", "--syntax-only", path)
	}
}

// TestEachAlertFiresWhereItHasTo has promtool evaluate the rules over what was recorded
// of real pairs, and compares the alerts that fire at each minute.
func TestEachAlertFiresWhereItHasTo(t *testing.T) {
	all := expected(t)
	recorded, err := filepath.Glob("recordings/*.txt")
	if err != nil || len(recorded) != len(all) {
		t.Fatalf("%d recordings, %v; want the %d of expectations", len(recorded), err, len(all))
	}
	fired := map[string]bool{}
	var tests strings.Builder
	for name, alerts := range all {
		for alert := range alerts {
			fired[alert] = true
		}
		r := readRecording(t, name)
		tests.WriteString(series(name, r) + firing(r, alerts))
	}
	const target = `instance="rx-1:9464",job="heliograph"`
	for alert, value := range written {
		fired[alert] = true
		at := strings.LastIndexByte(value, ' ')
		tests.WriteString(series(alert, Text{Interval: 15 * time.Second, Lines: []Line{
			{"heliograph_build_info", "{" + target + `,pair="zone-1",role="rx"}`, "1x40"},
			{fmt.Sprintf(value[:at], target), "", value[at:] + "x40"}}}) + "  promql_expr_test:\n" +
			atMinute(6, alert))
	}
	for _, alert := range alerts() {
		if !fired[alert] {
			t.Errorf("%s fires in no recording", alert)
		}
	}
	evaluate(t, tests.String())
}

func readRecording(t *testing.T, name string) Text {
	t.Helper()
	f, err := os.Open(filepath.Join("recordings", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := parse(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// parse reads what Write wrote.
func parse(from io.Reader) (t Text, err error) {
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		key, rest, isComment := strings.Cut(lines.Text(), "# ")
		switch {
		case n == 1 && isComment && key == "":
			t.Comment = rest
			continue
		case n == 2:
			t.Interval, err = time.ParseDuration(strings.TrimPrefix(rest, "interval "))
		case n == 3:
			t.Start, err = strconv.ParseInt(strings.TrimPrefix(rest, "start "), 10, 64)
		default:
			end := strings.LastIndexByte(lines.Text(), '}')
			open := strings.IndexByte(lines.Text(), '{')
			if open < 0 || end < open {
				return t, fmt.Errorf("line %d: no labels", n)
			}
			series := lines.Text()
			t.Lines = append(t.Lines, Line{series[:open], series[open : end+1], strings.TrimSpace(series[end+1:])})
		}
		if err != nil {
			return t, fmt.Errorf("line %d: %v", n, err)
		}
	}
	return t, lines.Err()
}

// series begins a test of promtool with a recording, whose times are moved to where
// promtool begins: 1970.
func series(name string, r Text) string {
	var to strings.Builder
	fmt.Fprintf(&to, "- name: %s\n  interval: %s\n  input_series:\n", name, r.Interval)
	for _, s := range r.Lines {
		values := s.Values
		if strings.HasSuffix(s.Name, "_timestamp_seconds") {
			values = moved(values, -r.Start)
		}
		fmt.Fprintf(&to, "  - {series: '%s%s', values: '%s'}\n", s.Name, s.Labels, values)
	}
	return to.String()
}

// firing are the alerts at each minute.
func firing(r Text, alerts map[string]fires) string {
	scrapes := 0
	for _, s := range r.Lines {
		scrapes = max(scrapes, count(s.Values))
	}
	var to strings.Builder
	to.WriteString("  promql_expr_test:\n")
	for minute := range int(time.Duration(scrapes) * r.Interval / time.Minute) {
		var now []string
		for alert, f := range alerts {
			if minute >= f.from && minute < f.end {
				now = append(now, alert)
			}
		}
		to.WriteString(atMinute(minute, now...))
	}
	return to.String()
}

// atMinute is promtool's test that these alerts fire, and no others.
func atMinute(minute int, alerts ...string) string {
	s := fmt.Sprintf("  - expr: 'group by (alertname) (ALERTS{alertstate=\"firing\"})'\n    eval_time: %dm\n"+
		"    exp_samples:\n", minute)
	for _, alert := range alerts {
		s += fmt.Sprintf("    - {labels: '{alertname=\"%s\"}', value: 1}\n", alert)
	}
	return s
}

// evaluate has promtool evaluate the rules in tests.
func evaluate(t *testing.T, tests string) {
	t.Helper()
	rules, err := filepath.Abs("prometheus-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tests.yaml")
	rig.Write(t, path, []byte(fmt.Sprintf("rule_files: [%s]\nevaluation_interval: 15s\ntests:\n%s", rules, tests)))
	promtool(t, "test", "rules", path)
}

// moved adds to every value of a constant series.
func moved(values string, by int64) string {
	var terms []string
	for _, term := range strings.Fields(values) {
		value, times, repeated := strings.Cut(term, "x")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			term = strconv.FormatFloat(v+float64(by), 'f', -1, 64)
			if repeated {
				term += "x" + times
			}
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, " ")
}

// count returns how many scrapes values are.
func count(values string) (n int) {
	for _, term := range strings.Fields(values) {
		n++
		if value, times, repeated := strings.Cut(term, "x"); repeated {
			more, _ := strconv.Atoi(times) // what Write wrote
			n += more
			if value == "_" {
				n--
			}
		}
	}
	return n
}

// alerts returns the names of all alerts.
func alerts() (names []string) {
	for line := range strings.Lines(rules) {
		if _, name, ok := strings.Cut(line, "- alert: "); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// An operator reads the pair, the role and what to do in an alert.
func TestAnAlertSaysWhatToDo(t *testing.T) {
	evaluate(t, `- interval: 15s
  input_series:
  - {series: 'heliograph_build_info{job="heliograph",instance="rx-1:9464",pair="zone-1",role="rx"}', values: 1x20}
  - {series: 'heliograph_link_heartbeat_age_seconds{job="heliograph",instance="rx-1:9464"}', values: 90x20}
  alert_rule_test:
  - eval_time: 2m
    alertname: HeliographLinkSilent
    exp_alerts:
    - exp_labels: {severity: critical, job: heliograph, instance: 'rx-1:9464', pair: zone-1, role: rx}
      exp_annotations:
        summary: nothing arrives over the link of zone-1
        description: >-
          The last heartbeat is 1m 30s old: values at the mirror are old. Look at the transmitter's power and
          LED, then at fibre or wire. What the replay window holds heals when the link is back.
`)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path := rig.Program(t, "promtool", "that the alert rules are valid and fire where they have to")
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRecordingsAreReadAsTheyWereWritten(t *testing.T) {
	r := Recording{Comment: "what was done", Interval: 15e9}
	for i := range 6 {
		scrape := map[string]float64{`up{a="b"}`: 1, `n{a="b c"}`: float64(2 * i), `odd{}`: float64(i * i % 5)}
		if i == 3 {
			delete(scrape, `n{a="b c"}`)
		}
		if i > 4 {
			scrape[`late{}`] = 7
		}
		r.Add(scrape)
	}
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	got, err := parse(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{{"late", "{}", "_x5 7"}, {"n", `{a="b c"}`, "0+2x2 _ 8 10"}, {"odd", "{}", "0 1 4x1 1 0"},
		{"up", `{a="b"}`, "1x5"}}
	if got.Comment != "what was done" || got.Interval != 15e9 || !slices.Equal(got.Lines, want) {
		t.Errorf("got %+v, want %v", got, want)
	}
}
