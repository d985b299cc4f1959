package flash

import (
	"fmt"
	"strings"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
)

// checkOf returns what a key's file ends with.
func checkOf(key [pairkey.Size]byte) string {
	return strings.Fields(string(pairkey.Format(key)))[2]
}

const labelWidth = 72

// label is what belongs on the board.
func (u *unit) label(peer *unit) string {
	var b strings.Builder
	edge := "+" + strings.Repeat("-", labelWidth+2) + "+\n"
	b.WriteString("\n" + edge)
	rows := func(name string, lines []string) {
		for _, line := range lines {
			fmt.Fprintf(&b, "| %-8s%-*s |\n", name, labelWidth-8, line)
			name = ""
		}
	}
	for _, row := range [][2]string{
		{"role", "HELIOGRAPH " + strings.ToUpper(u.role)},
		{"name", u.host},
		{"pair", u.pair + ", key " + u.check},
		{"board", u.board.Name + address(u.hosts)},
		{"OPC UA", u.thumbprint},
		{"release", u.updates()},
		{"wiring", u.wiring(peer)},
	} {
		rows(row[0], wrap(row[1], labelWidth-8))
	}
	rows("", u.drawing(peer))
	rows("console", wrap(u.console(), labelWidth-8))
	rows("LEDs", wrap(u.lamps(), labelWidth-8))
	b.WriteString(edge)
	return b.String()
}

// drawing shows the wires of a UART link on the headers, this board on the left.
func (u *unit) drawing(peer *unit) []string {
	mine, its := u.board.Link.Pins, peer.board.Link.Pins
	if u.link.Medium != config.UART || mine == (boards.Pins{}) || its == (boards.Pins{}) ||
		u.link.Device != u.board.Link.Device {
		return nil
	}
	wire := func(left, line, right string) string { return fmt.Sprintf("  %-12s %s %s", left, line, right) }
	open, ground := "not wired ", fmt.Sprintf("pin %d GND", groundPin)
	head := fmt.Sprintf("  %-12s %s %s", "this board", strings.Repeat(" ", len(open)), peer.host)
	if u.role == "tx" {
		return []string{head, wire(pin(mine.TXD)+" TXD", "--------->", pin(its.RXD)+" RXD"),
			wire(ground, "----------", ground), wire(pin(mine.RXD)+" RXD", open, pin(its.TXD)+" TXD")}
	}
	return []string{head, wire(pin(mine.RXD)+" RXD", "<---------", pin(its.TXD)+" TXD"),
		wire(ground, "----------", ground), wire(pin(mine.TXD)+" TXD", open, pin(its.RXD)+" RXD")}
}

// Ground of the 40-pin header that lies beside the link's pins, and beside the LEDs'.
const (
	groundPin    = 6
	groundPinLED = 14
)

// console says where an adapter is plugged in.
func (u *unit) console() string {
	where := u.board.ConsoleAt
	if where == "" {
		where = u.board.Console.Device
	}
	return fmt.Sprintf("%s; %d baud 8N1, 3.3 V; never to the other board", where, u.board.Console.Baud)
}

// lamps says where LEDs are.
func (u *unit) lamps() string {
	var list []string
	if u.board.OwnLED != "" {
		list = append(list, "the board's "+u.board.OwnLED+" shows its state")
	}
	if u.board.HasFirmware {
		list = append(list, fmt.Sprintf("%s state, %s link: each through 470 ohm and an LED to ground (pin %d)",
			pin(u.board.Heartbeat.Number), pin(u.board.LinkLED.Number), groundPinLED))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, "; ")
}

func address(hosts []string) string {
	if len(hosts) < 2 {
		return ""
	}
	return " at " + hosts[1]
}

// wiring says what to connect, and that nothing else may be.
func (u *unit) wiring(peer *unit) string {
	switch {
	case u.link.Medium == config.UDP:
		return "network, " + u.link.Address + ": one-way by a diode that stands between, else by software alone"
	case u.link.Medium == config.Ethernet && u.role == "tx":
		return fmt.Sprintf("%s, only its transmit fibre, to the receive side of %s; nothing back", u.link.Interface,
			peer.host)
	case u.link.Medium == config.Ethernet:
		return fmt.Sprintf("%s, only its receive fibre, from the transmit side of %s; nothing back", u.link.Interface,
			peer.host)
	case u.board.Link.Pins == boards.Pins{} || u.link.Device != u.board.Link.Device:
		return fmt.Sprintf("%s, one wire and ground between it and %s of %s; nothing back", u.link.Device,
			peer.link.Device, peer.host)
	case u.role == "tx":
		return fmt.Sprintf("%s (TXD) to %s of %s, ground to ground; not %s, nothing back", pin(u.board.Link.Pins.TXD),
			pin(peer.board.Link.Pins.RXD), peer.host, pin(u.board.Link.Pins.RXD))
	}
	return fmt.Sprintf("%s (RXD) from %s of %s, ground to ground; not %s, nothing back", pin(u.board.Link.Pins.RXD),
		pin(peer.board.Link.Pins.TXD), peer.host, pin(u.board.Link.Pins.TXD))
}

// pin says where a line is on the 40-pin header of the Raspberry Pi.
func pin(line int) string {
	header := []int{27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22,
		37, 13}
	if line < 0 || line >= len(header) {
		return fmt.Sprintf("GPIO %d", line)
	}
	return fmt.Sprintf("pin %d", header[line])
}

// wrap breaks a text between words.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
