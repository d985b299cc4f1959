// Package selftest tries on a board what the board itself can show: that the
// link stands open in one direction, that the role sits in its sandbox, that
// LED, watchdog, clock and card are what the image expects.
//
// It only looks. It opens no link, arms no watchdog and drives no line, so it
// may run while the board works. What it cannot show it says: a wire that is not
// there is seen by people alone (see hardware-checklist.md beside the boards).
package selftest

import (
	"fmt"
	"io"
	"io/fs"
	"path"
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

// Machine is what is looked at.
type Machine struct {
	Root  fs.FS // the root of the filesystem: proc, sys, dev
	Board boards.Board
	Role  string // tx or rx
	PID   int    // of the role; 0 while it does not run
	Link  string // the device or interface of the link; "" for UDP
}

// Run makes all checks.
func Run(m Machine) []Result {
	return []Result{
		m.model(), m.descriptor(), m.sandbox(), m.console(), m.silence(), m.led(), m.watchdog(), m.rtc(), m.data(), m.temperature(),
		{"nothing comes back on the wire", NotProved, "look at it: a transmitter's RXD and a receiver's TXD stay unwired"},
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

// read returns a small file's text, trimmed.
func (m Machine) read(name string) (string, error) {
	f, err := m.Root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
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

// Access modes in the flags of /proc/PID/fdinfo (open(2)).
const (
	accessMode = 3
	readOnly   = 0
	writeOnly  = 1
)

// linkDescriptor is where the sandbox puts the link.
const linkDescriptor = 3

// descriptor looks at how the role holds its link.
func (m Machine) descriptor() Result {
	const check = "the role holds its link in one direction"
	if m.PID == 0 {
		return Result{check, NotProved, "the role does not run"}
	}
	text, err := m.read(fmt.Sprintf("proc/%d/fdinfo/%d", m.PID, linkDescriptor))
	if err != nil {
		return notProved(check, err)
	}
	flags, err := strconv.ParseUint(field(text, "flags:"), 8, 64)
	if err != nil {
		return notProved(check, err)
	}
	if !strings.HasPrefix(m.Link, "/dev/") {
		return Result{check, NotProved, "a socket opens both ways; its filter and the sandbox make it one"}
	}
	want := uint64(readOnly)
	if m.Role == "tx" {
		want = writeOnly
	}
	return result(check, flags&accessMode == want, fmt.Sprintf("%s is open with access mode %d, %s wants %d", m.Link, flags&accessMode, m.Role, want))
}

func (m Machine) sandbox() Result {
	const check = "the role sits in its sandbox"
	if m.PID == 0 {
		return Result{check, NotProved, "the role does not run"}
	}
	text, err := m.read(fmt.Sprintf("proc/%d/status", m.PID))
	if err != nil {
		return notProved(check, err)
	}
	uid := strings.Fields(field(text, "Uid:") + " ?")[0]
	found := fmt.Sprintf("uid %s, NoNewPrivs %s, Seccomp %s, capabilities %s", uid, field(text, "NoNewPrivs:"), field(text, "Seccomp:"), field(text, "CapBnd:"))
	capabilities, err := strconv.ParseUint(field(text, "CapBnd:"), 16, 64)
	return result(check, uid != "0" && uid != "?" && field(text, "NoNewPrivs:") == "1" && field(text, "Seccomp:") == "2" && err == nil && capabilities == 0, found)
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

func (m Machine) console() Result {
	const check = "the kernel's console is not the link"
	line, err := m.read("proc/cmdline")
	if err != nil {
		return notProved(check, err)
	}
	link := strings.TrimPrefix(m.Board.Link.Device, "/dev/")
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, "console="); ok && link != "" && strings.SplitN(value, ",", 2)[0] == link {
			return Result{check, Fail, word + " writes to the link"}
		}
	}
	return Result{check, Pass, "link " + m.Board.Link.Device + ", console " + m.Board.Console.Device}
}

// silence looks for a link's interface among those that the outside can reach.
func (m Machine) silence() Result {
	const check = "the link's interface is out of everybody's reach"
	if m.Link == "" || strings.HasPrefix(m.Link, "/dev/") {
		return Result{check, Pass, "the link is no interface"}
	}
	_, err := fs.Stat(m.Root, "sys/class/net/"+m.Link)
	return result(check, err != nil, fmt.Sprintf("%s in the board's own network namespace: %t", m.Link, err == nil))
}

func (m Machine) led() Result {
	const check = "the LED's GPIO chip"
	chip := m.Board.Heartbeat.Chip
	if chip == "" {
		return Result{check, NotProved, "the board has no LED of its own"}
	}
	if _, err := fs.Stat(m.Root, strings.TrimPrefix(chip, "/")); err != nil {
		return Result{check, Fail, err.Error()}
	}
	return Result{check, Pass, fmt.Sprintf("%s, line %d: look whether it winks once a second", chip, m.Board.Heartbeat.Number)}
}

func (m Machine) watchdog() Result {
	const check = "the watchdog is armed"
	if m.Board.Watchdog == "" {
		return Result{check, NotProved, "this board has none that may be armed"}
	}
	folder := "sys/class/watchdog/" + path.Base(m.Board.Watchdog)
	state, err := m.read(folder + "/state")
	if err != nil {
		if _, err := fs.Stat(m.Root, folder); err == nil {
			return Result{check, NotProved, "the kernel tells no state; the drill on the console shows it (key w)"}
		}
		return Result{check, Fail, err.Error()}
	}
	timeout, _ := m.read(folder + "/timeout")
	return result(check, state == "active", fmt.Sprintf("%s, time-out %s s", state, timeout))
}

func (m Machine) rtc() Result {
	const check = "a clock that runs without power"
	name, err := m.read("sys/class/rtc/rtc0/name")
	if err != nil {
		return Result{check, NotProved, "none: the time of day comes from NTP or the link"}
	}
	return Result{check, Pass, name}
}

func (m Machine) data() Result {
	const check = "the data partition has a journal"
	mounts, err := m.read("proc/mounts")
	if err != nil {
		return notProved(check, err)
	}
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == "/data" {
			return result(check, f[2] == "ext4" && !strings.Contains(f[3], "noload"), f[0]+" "+f[2]+" "+f[3])
		}
	}
	return Result{check, Fail, "/data is not mounted: what is acknowledged would be lost"}
}

// hottest is where a Pi begins to slow down (raspberrypi.com, frequency
// management and thermal control).
const hottest = 80

func (m Machine) temperature() Result {
	const check = "the processor's temperature"
	text, err := m.read("sys/class/thermal/thermal_zone0/temp")
	if err != nil {
		return Result{check, NotProved, "no sensor"}
	}
	milli, err := strconv.Atoi(text)
	if err != nil {
		return notProved(check, err)
	}
	return result(check, milli < hottest*1000, fmt.Sprintf("%d °C, slows down at %d", milli/1000, hottest))
}
