package initial

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/rootfs/network"
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
func Next(a Answers, servers []Server) []Step {
	if a.onBoard() {
		return onBoards(a)
	}
	steps := []Step{{check(a), "says what is wrong, with its line"}}
	tx, rx := quote(a.TX), quote(a.RX)
	if a.secured() {
		der := quote(filepath.Join(filepath.Dir(a.TX), "heliotx.der"))
		steps = append(steps, Step{"heliograph cert new --config " + tx, "heliotx's certificate"},
			Step{fmt.Sprintf("heliograph cert export --config %s %s", tx, der), "the OPC UA server has to trust it"})
		for _, s := range servers {
			steps = append(steps, Step{fmt.Sprintf("heliograph trust add --config %s %s", tx, quote(s.File)),
				"if the server itself shows " + s.Thumbprint})
		}
	}
	if a.SyslogTo == defaultCollector && a.Syslog != "" {
		steps = append(steps, Step{"heliograph syslog 127.0.0.1:5601 &", "in place of a collector"})
	}
	on := map[bool]string{false: "on IT's machine, with " + quote(a.Key)}[a.OneMachine()]
	steps = append(steps, Step{"heliorx --config " + rx, on}, Step{"heliotx --config " + tx, "in a second terminal"})
	if a.mirrors() {
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

// mirrors reports whether RX has an OPC UA server.
func (a Answers) mirrors() bool {
	return slices.ContainsFunc(a.Each(), func(s Answers) bool { return s.OPCUA != "" })
}

// secured reports whether heliotx needs a certificate.
func (a Answers) secured() bool {
	return slices.ContainsFunc(a.Each(), func(s Answers) bool { return s.OPCUA != "" && s.OPCUASecurity != "None" })
}

func onBoards(a Answers) []Step {
	emulated := a.board().Network.Emulator != ""
	steps := []Step{{check(a), "says what is wrong, with its line"}}
	flash := fmt.Sprintf("heliograph flash --pair --board %s --tx-config %s --rx-config %s --tx-network %s "+
		"--rx-network %s", a.Board, quote(a.TX), quote(a.RX), quote(NetworkFile(a.TX)), quote(NetworkFile(a.RX)))
	rx := strings.Split(a.RXOwn.Address, "/")[0]
	switch {
	case emulated:
		rx = "127.0.0.1"
		steps = append(steps, Step{flash + " tx.img rx.img", "both cards, as files"},
			Step{"heliograph board-demo --tx tx.img --rx rx.img",
				"boots both, and says where their pages and consoles are"})
	default:
		if rx == network.DHCP {
			rx = "RX"
		}
		steps = append(steps, Step{flash + " /dev/sdX",
			"both cards, one after the other; alone, \"heliograph flash\" lists the drives"},
			Step{"heliograph console", "at each board, wired as boards/wiring.md shows: its state, address and log"})
	}
	if a.secured() {
		steps[2].Why += "; key c trusts the server's certificate"
	}
	if _, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(a.RXStatus, "http://"),
		"https://")); err == nil {
		at := net.JoinHostPort(rx, port)
		if strings.HasPrefix(a.RXStatus, "https://") {
			at = "https://" + at
		}
		steps = append(steps, Step{fmt.Sprintf("heliograph accept --rx %s -o %s.html", at, a.Pair),
			"measures the link, and writes the report to file"})
	}
	return steps
}
