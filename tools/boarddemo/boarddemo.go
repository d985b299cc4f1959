// Package boarddemo boots two emulated boards from the images that cards get, on this
// machine: a newcomer's first appliance.
//
//	TX board ══ one-way line, carried here ══▶ RX board
//	QEMU virt                                  QEMU virt
//
// The cards are those that are named, such as "heliograph flash --pair" makes; what the
// boards keep stays on them. Without any it makes a pair of its own, with a plant before it
// and a collector behind it, and removes it at the end:
//
//	simulated plant ─▶ TX board ═════▶ RX board ─▶ collector
//	OPC UA, syslog                                 here
//
// It takes QEMU, and base images of a release or a checkout; neither root nor cards nor
// network. What RX puts on the line is counted and goes nowhere, unless a way back is
// asked for. Ports that the roles listen on, and both consoles, are reached at loopback of
// this machine. It refuses cards of other boards, and other links than serial ones; it
// refuses nothing that real boards accept, and proves nothing about real boards.
package boarddemo

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Options say which cards are booted.
type Options struct {
	TX, RX string // cards; "": a pair of its own

	Images  string // of that: folder with base images; "": beside this program
	Source  string // checkout that images are built from where there are none
	Version string // of this program
}

// Our own choices.
const (
	tags        = 5
	sayEvery    = time.Second
	mostLine    = 64 << 10
	emulated    = "virt"
	configName  = "heliograph.toml"
	networkName = "network.toml"
)

// Demo is the running pair. Its methods are safe for concurrent use.
type Demo struct {
	TX, RX           *Machine
	Line             *Line
	txPorts, rxPorts []Port
	consoles         []net.Listener
	own              *surroundings // nil: the cards were named
	folder           string        // removed at the end
}

// Start makes the images if none are named, and boots the boards. To be closed; the end of
// ctx ends the boards.
func Start(ctx context.Context, o Options) (*Demo, error) {
	program, err := findQEMU()
	if err != nil {
		return nil, err
	}
	d := &Demo{}
	if err := d.start(ctx, program, o); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// start does so, and leaves what it has begun to Close.
func (d *Demo) start(ctx context.Context, program string, o Options) (err error) {
	if d.folder, err = os.MkdirTemp("", "heliograph-board-demo-"); err != nil {
		return err
	}
	if o.TX == "" {
		if d.own, err = surround(); err != nil {
			return err
		}
		if o.TX, o.RX, err = d.own.cards(o, d.folder); err != nil {
			return err
		}
	}
	if err := d.findPorts(o); err != nil {
		return err
	}
	if d.Line, err = openLine(); err != nil {
		return err
	}
	tx, rx := d.Line.devices()
	if d.RX, err = boot(ctx, program, o.RX, d.folder, rx, d.rxPorts); err != nil {
		return err
	}
	if d.TX, err = boot(ctx, program, o.TX, d.folder, tx, d.txPorts); err != nil {
		return err
	}
	if err := d.serveConsoles(); err != nil {
		return err
	}
	if d.own != nil {
		go d.own.say(ctx, d.TX, d.txPorts)
	}
	return nil
}

// findPorts finds out where this machine reaches the boards.
func (d *Demo) findPorts(o Options) (err error) {
	taken := map[int]bool{}
	for _, side := range []struct {
		role, card string
		console    int
		ports      *[]Port
	}{{"tx", o.TX, txConsoleAt, &d.txPorts}, {"rx", o.RX, rxConsoleAt, &d.rxPorts}} {
		list, err := cardPorts(side.role, side.card)
		if err != nil {
			return err
		}
		list = append(list, Port{What: consoleOf, Scheme: "tcp", Here: side.console})
		if *side.ports, err = reachable(taken, list); err != nil {
			return err
		}
	}
	return nil
}

// serveConsoles opens the consoles to programs of this machine.
func (d *Demo) serveConsoles() error {
	for m, ports := range map[*Machine][]Port{d.TX: d.txPorts, d.RX: d.rxPorts} {
		for _, p := range ports {
			if p.What != consoleOf {
				continue
			}
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.Here))
			if err != nil {
				return err
			}
			d.consoles = append(d.consoles, l)
			go m.serve(l)
		}
	}
	return nil
}

func portNumber(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// Close ends the boards, and removes the cards that were made here.
func (d *Demo) Close() {
	for _, l := range d.consoles {
		_ = l.Close()
	}
	for _, m := range []*Machine{d.TX, d.RX} {
		if m != nil {
			m.cut()
		}
	}
	if d.Line != nil {
		d.Line.close()
	}
	if d.own != nil {
		d.own.close()
	}
	if d.folder != "" {
		_ = os.RemoveAll(d.folder)
	}
}

// Ask has both boards say how they stand.
func (d *Demo) Ask() {
	d.TX.Ask()
	d.RX.Ask()
}

// Crossed says whether something has arrived: a line of the plant, or a frame.
func (d *Demo) Crossed() bool {
	if d.own != nil {
		return d.own.Arrived.Load() > 0
	}
	s, _, _ := d.RX.Look()
	return s != nil && s.Report.Snapshot.Link.Frames > 0
}

// Fault says why a board's emulator ended; nil while both run.
func (d *Demo) Fault() error {
	for role, m := range map[string]*Machine{"TX": d.TX, "RX": d.RX} {
		if _, said, fault := m.Look(); fault != "" {
			return fmt.Errorf("board-demo: %s: %s\n%s", role, fault, strings.Join(newest(said, 3), "\n"))
		}
	}
	return nil
}

// Lines say what crosses, and where to look.
func (d *Demo) Lines() []string { return append(d.Crossing(), d.Places()...) }

// Crossing says what crosses.
func (d *Demo) Crossing() (lines []string) {
	if d.own != nil {
		lines = append(lines, d.own.line())
	}
	return append(lines, fmt.Sprintf("link     %d bytes from TX, %d from RX%s", d.Line.Sent.Load(), d.Line.Back.Load(),
		d.Line.faults()))
}

// Places say where this machine reaches the boards.
func (d *Demo) Places() (lines []string) {
	for _, what := range []string{pageOf, mirrorOf, brokerOf, syslogOf, consoleOf} {
		line := ""
		for i, list := range [][]Port{d.rxPorts, d.txPorts} {
			for _, p := range list {
				if p.What == what {
					line += "  " + [2]string{"RX ", "TX "}[i] + p.URL()
				}
			}
		}
		switch {
		case line == "":
			continue
		case what == mirrorOf && d.own != nil:
			line += "  without security: Line.Tag0 changes"
		}
		lines = append(lines, fmt.Sprintf("%-7s%s", what, line))
	}
	return lines
}
