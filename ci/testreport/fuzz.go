package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// fuzzAll runs each fuzz target for a time: "go test -fuzz" takes one only.
func fuzzAll(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testreport -fuzz DURATION PACKAGE…")
		return 2
	}
	list := exec.Command("go", append([]string{"test", "-list", "^Fuzz"}, args[1:]...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport: listing the fuzz targets:", err)
		return 1
	}
	code := 0
	for _, t := range targets(string(out)) {
		fmt.Println("fuzz", t.pkg, t.test)
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.test+"$", "-fuzztime", args[0],
			"-fuzzminimizetime", "1s", t.pkg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		code = max(code, exitCode(cmd.Run()))
	}
	return code
}

// targets reads the output of "go test -list": the names of a package's
// targets, then "ok PACKAGE TIME".
func targets(list string) []testID {
	var found []testID
	var names []string
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			names = append(names, words[0])
		case len(words) > 1 && words[0] == "ok":
			for _, name := range names {
				found = append(found, testID{words[1], name})
			}
			names = nil
		}
	}
	return found
}
