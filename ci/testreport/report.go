package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of "go test -json" (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// skip is one test that did not run.
type skip struct {
	name string // package and test
	why  string
}

type testID struct{ pkg, test string }

// follow copies to out what "go test" without -v would print (the output of
// failed tests and of packages) and collects the skips.
func follow(results io.Reader, out io.Writer, skips *[]skip) error {
	lines := bufio.NewReader(results)
	held := map[testID][]string{} // output of tests that have not ended
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			handle(line, out, held, skips)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func handle(line []byte, out io.Writer, held map[testID][]string, skips *[]skip) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		_, _ = out.Write(line) // not an event: pass it on
		return
	}
	id := testID{e.Package, e.Test}
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
			*skips = append(*skips, skip{strings.TrimPrefix(e.Package, "heliograph/") + " " + e.Test, reason(held[id])})
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

// summarize prints the skips and returns the exit code of the whole.
func summarize(out io.Writer, skips []skip, code int, strict bool) int {
	for _, s := range skips {
		fmt.Fprintf(out, "SKIP %s: %s\n", s.name, s.why)
	}
	if len(skips) > 0 && strict {
		fmt.Fprintf(out, "FAIL: %d skipped, and with CI=true a skip is a failure\n", len(skips))
		return max(code, 1)
	}
	return code
}
