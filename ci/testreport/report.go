package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is one line of "go test -json" (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds, of a test that ended
}

// name is that of a test, with its package.
func (e event) name() string { return strings.TrimPrefix(e.Package, "heliograph/") + " " + e.Test }

// skip is one test that did not run.
type skip struct {
	name string // package and test
	why  string
}

type testID struct{ pkg, test string }

// failure is one test that failed, and what it reported first.
type failure struct{ name, why string }

// outcome is what a run of tests leaves to be listed at its end.
type outcome struct {
	skips    []skip
	failures []failure
	times    []timed // of tests that are not subtests
}

// timed is how long a test took.
type timed struct {
	name    string
	seconds float64
}

// follow copies to out what "go test" without -v would print (the output of
// failed tests and of packages) and collects skips and failures.
func follow(results io.Reader, out io.Writer, o *outcome) error {
	lines := bufio.NewReader(results)
	held := map[testID][]string{} // output of tests that have not ended
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			handle(line, out, held, o)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func handle(line []byte, out io.Writer, held map[testID][]string, o *outcome) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		_, _ = out.Write(line) // not an event: pass it on
		return
	}
	id := testID{e.Package, e.Test}
	if e.Elapsed >= long && e.Test != "" && !strings.Contains(e.Test, "/") {
		o.times = append(o.times, timed{e.name(), e.Elapsed})
	}
	switch e.Action {
	case "output", "build-output":
		if e.Test == "" {
			if e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "-test.shuffle ") {
				fmt.Fprint(out, e.Output)
			}
			return
		}
		held[id] = append(held[id], e.Output)
	case "skip":
		if e.Test != "" {
			o.skips = append(o.skips, skip{e.name(), reason(held[id])})
		}
		delete(held, id)
	case "fail":
		if e.Test == "" { // what a crash left without a verdict
			for other, output := range held {
				if other.pkg == e.Package {
					fmt.Fprint(out, strings.Join(output, ""))
					delete(held, other)
				}
			}
			return
		}
		fmt.Fprint(out, strings.Join(held[id], ""))
		if why := firstReports(held[id]); why != "" {
			o.failures = append(o.failures, failure{e.name(), why})
		}
		delete(held, id)
	case "pass":
		delete(held, id)
	}
}

// reason finds what the test said when it skipped.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	all := strings.Join(said, " ")
	if i := strings.Index(all, "not proved:"); i >= 0 {
		return all[i:]
	}
	return "not proved: the test does not say what (" + all + ")"
}

// message is a line that a test reports with its place: "    a_test.go:7: got 1, want 2".
var message = regexp.MustCompile(`^\s+\w+\.go:\d+: `)

// The slowest tests are listed, those that take so many seconds at least.
const (
	long    = 10
	slowest = 12
)

// What is shown again at the end of a failed test.
const (
	firstMessages = 4
	messageBytes  = 400
)

// firstReports returns what a failed test reported first, "" when only its subtests did.
func firstReports(output []string) string {
	var reports []string
	for _, line := range output {
		at := message.FindString(line)
		if at != "" && !strings.Contains(at, "rig.go:") && len(reports) < firstMessages { // rig.go: logs of peers
			line = strings.TrimSpace(line)
			reports = append(reports, line[:min(len(line), messageBytes)])
		}
	}
	return strings.Join(reports, "; ")
}

// summarize prints the slowest tests, failures and skips, so that they stand last however
// much the tests printed, and returns the exit code of the whole.
func summarize(out io.Writer, o outcome, code int, strict bool) int {
	skips := o.skips
	slices.SortFunc(o.times, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range o.times[:min(len(o.times), slowest)] {
		fmt.Fprintf(out, "SLOW %s: %.0f s\n", t.name, t.seconds)
	}
	for _, f := range o.failures {
		fmt.Fprintf(out, "FAIL %s: %s\n", f.name, f.why)
	}
	for _, s := range skips {
		fmt.Fprintf(out, "SKIP %s: %s\n", s.name, s.why)
	}
	if len(skips) > 0 && strict {
		fmt.Fprintf(out, "FAIL: %d skipped, and with CI=true a skip is a failure\n", len(skips))
		return max(code, 1)
	}
	return code
}
