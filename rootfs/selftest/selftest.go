// Package selftest checks on a board what the board itself can show: that the link is
// open in one direction, that the role runs in its sandbox, that LED, watchdog, clock
// and card are what the image expects.
//
// It only reads. It refuses to open a link or a watchdog and to drive a line, so it
// may run while the board works. It reports what it cannot show: only a person sees
// that a wire is missing (see hardware-checklist.md beside the boards).
package selftest

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"heliograph/boards"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Fail      Verdict = "FAIL"
	NotProved Verdict = "not proved"
)

// Result is one check and what came of it.
type Result struct {
	Check   string
	Verdict Verdict
	Found   string
}

// Machine is what is checked.
type Machine struct {
	Root  fs.FS // the root of the filesystem: proc, sys, dev
	Board boards.Board
	Role  string // tx or rx
	PID   int    // of the role; 0 while it does not run
	Link  string // the device or interface of the link; "" for UDP
	Sent  int    // characters of reverse probes at most, that a receiver's PID 1 has sent on the link's port

	// What is in no file; nil asks the kernel.
	Output func(boards.Line) (bool, error)                  // whether a program drives the line
	Room   func(folder string) (free, size uint64, _ error) // bytes
	Timed  func() bool                                      // whether a program keeps the clock

	Minute *Minute // of the link's port; nil where the link is not one
}

// Run makes all checks.
func Run(m Machine) []Result {
	return []Result{
		m.model(), m.bootLoader(), m.sandbox(), m.descriptor(), m.header(), m.traffic(), m.minute(),
		m.console(), m.silence(), m.linkDriver(),
		m.outside(),
		m.led("heartbeat", m.Board.Heartbeat), m.led("link", m.Board.LinkLED), m.watchdog(), m.clock(), m.rtc(),
		m.data(), m.room(), m.temperature(),
		{"nothing comes back on the wire", NotProved,
			"check by eye: a transmitter's RXD and a receiver's TXD stay unwired; key v of RX's console sends probes"},
	}
}

// Print writes the results, one a line, and a sum.
func Print(w io.Writer, results []Result) {
	count := map[Verdict]int{}
	for _, r := range results {
		count[r.Verdict]++
		fmt.Fprintf(w, "%-10s  %s: %s\n", r.Verdict, r.Check, r.Found)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d not proved\n", count[Pass], count[Fail], count[NotProved])
}

// maxFile bounds what is read of a file, in bytes.
const maxFile = 64 << 10

// raw returns a small file.
func (m Machine) raw(name string) ([]byte, error) {
	f, err := m.Root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// read returns a small file's text, trimmed.
func (m Machine) read(name string) (string, error) {
	b, err := m.raw(name)
	return strings.Trim(string(b), "\x00\n "), err
}

func result(check string, ok bool, found string) Result {
	if ok {
		return Result{check, Pass, found}
	}
	return Result{check, Fail, found}
}

func notProved(check string, err error) Result { return Result{check, NotProved, err.Error()} }

func (m Machine) model() Result {
	const check = "the image is for this board"
	model, err := m.read("proc/device-tree/model")
	if err != nil {
		return notProved(check, err)
	}
	b, known := boards.Detect(model)
	return result(check, known && b.Name == m.Board.Name, fmt.Sprintf("%s, image for %s", model, m.Board.Name))
}

// field returns what follows a name at the start of a line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func (m Machine) sandbox() Result {
	const check = "the role runs in its sandbox"
	if m.PID == 0 {
		return Result{check, NotProved, "the role does not run"}
	}
	text, err := m.read(fmt.Sprintf("proc/%d/status", m.PID))
	if err != nil {
		return notProved(check, err)
	}
	uid := strings.Fields(field(text, "Uid:") + " ?")[0]
	found := fmt.Sprintf("uid %s, NoNewPrivs %s, Seccomp %s, capabilities %s", uid, field(text, "NoNewPrivs:"),
		field(text, "Seccomp:"), field(text, "CapBnd:"))
	capabilities, err := strconv.ParseUint(field(text, "CapBnd:"), 16, 64)
	return result(check, uid != "0" && uid != "?" && field(text, "NoNewPrivs:") == "1" &&
		field(text, "Seccomp:") == "2" && err == nil && capabilities == 0, found)
}
