package monitoring

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"heliograph/ci/rig"
)

// board is what the tests read of the dashboard.
type board struct {
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID                 int
		Type               string
		Title, Description string
		Datasource         struct{ UID string }
		GridPos            struct{ X, Y, W, H int }
		Targets            []struct {
			Datasource         struct{ UID string }
			Expr, LegendFormat string
		}
	}
}

func readBoard(t *testing.T) (b board) {
	t.Helper()
	if err := json.Unmarshal([]byte(dashboard), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// knownMetrics are the names in the reference, which a test of its own compares with the
// code.
func knownMetrics(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{"up": true}
	reference := rig.Read(t, "../../firmware/reference.md")
	for _, m := range regexp.MustCompile("(?m)^\\| `(heliograph_\\w+)` \\|").FindAllSubmatch(reference, -1) {
		known[string(m[1])] = true
	}
	if len(known) < 100 {
		t.Fatalf("the reference has only %d metrics", len(known))
	}
	return known
}

func TestRulesAndDashboardReferToMetricsThatExist(t *testing.T) {
	known := knownMetrics(t)
	for _, name := range Metrics() {
		if !known[strings.TrimSuffix(name, "_bucket")] { // a histogram's
			t.Errorf("no role has a metric %s", name)
		}
	}
}

// TestGrafanasOwnTypesTakeTheDashboard has them refuse what Grafana would leave out without
// a word: an option that it does not have, or one that it requires and the file lacks.
func TestGrafanasOwnTypesTakeTheDashboard(t *testing.T) {
	check := func(board string) (string, error) {
		c := exec.Command("go", "run", ".")
		c.Dir, c.Stdin = "../../ci/peers/grafana", strings.NewReader(board)
		said, err := c.CombinedOutput()
		return string(said), err
	}
	if said, err := check(dashboard); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	for wrong, want := range map[string]string{
		strings.Replace(dashboard, `"showLegend"`, `"showsLegend"`, 1): "showsLegend",
		strings.Replace(dashboard, `"heatmap"`, `"heat"`, 1):           `the options of "heat" are not checked`,
	} {
		if said, err := check(wrong); err == nil || !strings.Contains(said, want) {
			t.Errorf("a dashboard with a fault: got %v and %q, want an error with %q", err, said, want)
		}
	}
}

// Grafana replaces the variables before it asks. What it would ask gets an answer over
// what was recorded, but where the expression asks for trouble alone.
func TestPanelsShowARecordedPair(t *testing.T) {
	var tests strings.Builder
	values := strings.NewReplacer("$__rate_interval", "1m", "$pair", "zone-1", "$rx", "zone-1-rx:9464", "$tx",
		"zone-1-tx:9464")
	for _, p := range readBoard(t).Panels {
		for _, target := range p.Targets {
			expr, want := values.Replace(target.Expr), 1
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable that is not declared: %s", p.Title, expr)
			}
			board := strings.HasPrefix(expr, "heliograph_board_") // a machine in the lab has no such sensors
			if board || strings.HasSuffix(expr, "> 0") || strings.HasPrefix(expr, "ALERTS") {
				want = 0
			}
			fmt.Fprintf(&tests, "  - expr: %q\n    eval_time: 5m\n    exp_samples: [{labels: '{}', value: %d}]\n",
				"(count("+expr+") > bool 0) or vector(0)", want)
		}
	}
	evaluate(t, series("healthy", readRecording(t, "healthy"))+"  promql_expr_test:\n"+tests.String())
}

func TestPanelsAreWholeAndDoNotOverlap(t *testing.T) {
	b := readBoard(t)
	for _, want := range []string{"datasource", "pair", "rx", "tx"} {
		found := false
		for _, v := range b.Templating.List {
			found = found || v.Name == want
		}
		if !found {
			t.Errorf("the variable %s is not declared", want)
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range b.Panels {
		if p.Title == "" || ids[p.ID] {
			t.Errorf("panel %d has no title, or its number twice", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q is over %q, or beyond the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%q has no description, expression or variable data source", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || target.LegendFormat == "" && p.Type != "table" {
				t.Errorf("%q: no variable data source, or no legend, for %s", p.Title, target.Expr)
			}
		}
	}
}
