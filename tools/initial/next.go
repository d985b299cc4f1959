package initial

import (
	"fmt"
	"path/filepath"
)

// Step is a command that is typed next, and why.
type Step struct {
	Command string `json:"command"`
	Why     string `json:"why,omitempty"`
}

// Server is what a probe has found of the OPC UA server's certificate; the zero value is
// that it is not known.
type Server struct {
	Thumbprint string
	File       string // that the certificate was written to
}

// Next returns the commands that lead from the files to a running pair.
func Next(a Answers, s Server) []Step {
	steps := []Step{{check(a), "says what is wrong, with its line"}}
	if a.onBoard() {
		return append(steps[:0], onBoards(a)...)
	}
	tx, rx := quote(a.TX), quote(a.RX)
	if a.OPCUA != "" && a.OPCUASecurity != "None" {
		der := quote(filepath.Join(filepath.Dir(a.TX), "heliotx.der"))
		steps = append(steps, Step{"heliograph cert new --config " + tx, "heliotx's certificate"},
			Step{fmt.Sprintf("heliograph cert export --config %s %s", tx, der), "the OPC UA server has to trust it"})
		if s.File != "" {
			steps = append(steps, Step{fmt.Sprintf("heliograph trust add --config %s %s", tx, quote(s.File)),
				"if the server itself shows " + s.Thumbprint})
		}
	}
	if a.SyslogTo == defaultCollector && a.Syslog != "" {
		steps = append(steps, Step{"heliograph syslog 127.0.0.1:5601 &", "in place of a collector"})
	}
	on := map[bool]string{false: "on IT's machine, with " + quote(a.Key)}[a.OneMachine()]
	steps = append(steps, Step{"heliorx --config " + rx, on}, Step{"heliotx --config " + tx, "in a second terminal"})
	if a.OPCUA != "" {
		steps = append(steps, Step{"heliograph trust list --config " + rx,
			"clients that were refused; \"trust add\" lets one in"})
	}
	steps = append(steps, Step{"heliograph doctor --config " + tx, "what is missing, why, and the cure"})
	if !a.OneMachine() {
		steps = append(steps, Step{fmt.Sprintf("heliograph accept --config %s -o %s.html", rx, a.Pair),
			"measures the link, and writes the report to file"})
	}
	return steps
}

func onBoards(a Answers) []Step {
	tx, rx := quote(a.TX), quote(a.RX)
	steps := []Step{
		{fmt.Sprintf("heliograph check --board %s %s %s", a.Board, tx, rx), "says what is wrong, with its line"},
		{fmt.Sprintf("heliograph flash --pair --board %s --tx-config %s --rx-config %s", a.Board, tx, rx) + " /dev/sdX",
			"both cards, one after the other; alone, \"heliograph flash\" lists the drives"},
		{"heliograph console", "at each board, wired as boards/wiring.md shows: its state and log"},
	}
	if a.OPCUA != "" && a.OPCUASecurity != "None" {
		steps[2].Why += "; key c trusts the server's certificate"
	}
	return steps
}
