// Program testreport runs "go test -json" and shows its output as "go test"
// would, then lists every skipped test with what it therefore did not prove.
// With CI=true a skip is a failure. With -fuzz it runs each fuzz target of the
// given packages in turn.
//
// It refuses to hide anything: its exit code is that of go test, or 1 for a
// skip in CI, and output that it does not understand is passed on.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testreport COMMAND ARGUMENT… | testreport -fuzz DURATION PACKAGE…")
		os.Exit(2)
	}
	if os.Args[1] == "-fuzz" {
		os.Exit(fuzzAll(os.Args[2:]))
	}
	os.Exit(test(os.Args[1:]))
}

// test runs the command and reports on its JSON output.
func test(command []string) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		return 1
	}
	var o outcome
	readErr := follow(out, os.Stdout, &o)
	if readErr != nil {
		_, _ = io.Copy(os.Stdout, out) // let go test end; the read error is reported below
	}
	code := exitCode(cmd.Wait())
	if readErr != nil {
		fmt.Fprintln(os.Stderr, "testreport: reading the results:", readErr)
		code = max(code, 1)
	}
	return summarize(os.Stdout, o, code, os.Getenv("CI") == "true")
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() > 0 {
		return e.ExitCode()
	}
	return 1
}
