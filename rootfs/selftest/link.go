package selftest

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"heliograph/boards"
)

// onUART reports whether the link is a serial port.
func (m Machine) onUART() bool { return strings.HasPrefix(m.Link, "/dev/") }

// Access modes in the flags of /proc/PID/fdinfo (open(2)).
const (
	accessMode = 3
	readOnly   = 0
	writeOnly  = 1
)

// linkDescriptor is where the sandbox puts the link.
const linkDescriptor = 3

// descriptor checks how the role holds its link.
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
	if !m.onUART() {
		return Result{check, NotProved, "a socket opens both ways; its filter and the sandbox make it one"}
	}
	want := uint64(readOnly)
	if m.Role == "tx" {
		want = writeOnly
	}
	return result(check, flags&accessMode == want,
		fmt.Sprintf("%s is open with access mode %d, %s wants %d", m.Link, flags&accessMode, m.Role, want))
}

// header checks how the firmware has set the link header's pins, by the overlay of
// the image.
func (m Machine) header() Result {
	const check = "the link header is open in one direction"
	pins := m.Board.Link.Pins
	if pins == (boards.Pins{}) {
		return Result{check, NotProved, "this board has no header that software opens and closes"}
	}
	read := m.functionsBCM2835
	if pins.Function.RP1 != "" {
		read = m.functionsRP1
	}
	txd, rxd, err := read(pins)
	if err != nil {
		return notProved(check, err)
	}
	open, shut := txd, rxd
	if m.Role == "rx" {
		open, shut = rxd, txd
	}
	return result(check, open == toUART && shut == isInput, fmt.Sprintf(
		"%s has GPIO %d (TXD) as %s, GPIO %d (RXD) as %s", m.Role, pins.TXD, txd, pins.RXD, rxd))
}

// What a pin of the header may be.
const (
	toUART  = "UART"
	isInput = "input" // which nothing reads
)

// functionsBCM2835 reads the property brcm,function of the UART's group.
func (m Machine) functionsBCM2835(pins boards.Pins) (txd, rxd string, err error) {
	group, err := m.read("proc/device-tree/__symbols__/" + pins.Group)
	if err != nil {
		return "", "", err
	}
	got, err := m.raw(path.Join("proc/device-tree", group, "brcm,function"))
	if err != nil {
		return "", "", err
	}
	if len(got) != 8 {
		return "", "", fmt.Errorf("the pin group has %d bytes of functions, want two words", len(got))
	}
	name := func(b []byte) string {
		switch v := binary.BigEndian.Uint32(b); v {
		case pins.Function.BCM2835:
			return toUART
		case 0:
			return isInput
		default:
			return fmt.Sprintf("function %d", v)
		}
	}
	return name(got[:4]), name(got[4:]), nil
}

// functionsRP1 reads the two nodes of the image's own group.
func (m Machine) functionsRP1(pins boards.Pins) (txd, rxd string, err error) {
	controller, err := m.read("proc/device-tree/__symbols__/" + boards.RP1Controller)
	if err != nil {
		return "", "", err
	}
	group := path.Join("proc/device-tree", controller, boards.RP1Group)
	name := func(pin string) string {
		function, missing := m.read(group + "/" + pin + "/function")
		_, shut := m.read(group + "/" + pin + "/output-disable")
		switch {
		case missing != nil:
			err = missing
			return ""
		case function == pins.Function.RP1:
			return toUART
		case function == "gpio" && shut == nil:
			return isInput
		}
		return function
	}
	return name("pin_txd"), name("pin_rxd"), err
}

// traffic checks what the kernel's serial layer counted since the start
// (uart_line_info of Linux). A break is a level, not a character.
func (m Machine) traffic() Result {
	const check = "the link's port has worked in one direction only"
	if !m.onUART() {
		return Result{check, NotProved, "the link is not a serial port"}
	}
	counts, err := portCounts(m.Root, m.Link)
	if err != nil {
		return notProved(check, err)
	}
	wrong := max(counts["tx"]-m.Sent, 0)
	if m.Role == "tx" {
		wrong = max(counts["rx"]-counts["brk"], 0)
	}
	found := fmt.Sprintf("%d characters sent, %d received, %d breaks", counts["tx"], counts["rx"], counts["brk"])
	if m.Sent > 0 {
		found += fmt.Sprintf("; reverse probes were %d of those sent", m.Sent)
	}
	return result(check, wrong == 0, found)
}

func (m Machine) console() Result {
	const check = "the kernel's console is not the link"
	line, err := m.read("proc/cmdline")
	if err != nil {
		return notProved(check, err)
	}
	link := strings.TrimPrefix(m.Board.Link.Device, "/dev/")
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, "console="); ok && link != "" &&
			strings.SplitN(value, ",", 2)[0] == link {
			return Result{check, Fail, word + " writes to the link"}
		}
	}
	return Result{check, Pass, "link " + m.Board.Link.Device + ", console " + m.Board.Console.Device}
}

// silence checks that the link's interface is not among those of the board.
func (m Machine) silence() Result {
	const check = "the link's interface is in a namespace of its own"
	if m.Link == "" || m.onUART() {
		return Result{check, Pass, "the link is not an interface"}
	}
	_, err := fs.Stat(m.Root, "sys/class/net/"+m.Link)
	return result(check, err != nil, fmt.Sprintf("%s in the board's own network namespace: %t", m.Link, err == nil))
}

// linkDriver checks that a driver that the board names has found an interface for the
// link, which itself is in another namespace.
func (m Machine) linkDriver() Result {
	const check = "the link's interface has a driver that is known to fit"
	if m.Link == "" || m.onUART() {
		return Result{check, NotProved, "the link is not an interface"}
	}
	for _, driver := range m.Board.Network.Drivers() {
		// A device is a link to its folder; the driver's own files are none.
		entries, _ := fs.Glob(m.Root, "sys/bus/*/drivers/"+driver+"/*")
		for _, name := range entries {
			if info, err := fs.Lstat(m.Root, name); err == nil && info.Mode()&fs.ModeSymlink != 0 &&
				path.Base(name) != "module" {
				return Result{check, Pass, driver + " drives " + path.Base(name)}
			}
		}
	}
	return Result{check, Fail, "none of " + strings.Join(m.Board.Network.Drivers(), ", ") + " has found a device"}
}
