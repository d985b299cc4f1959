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
	for _, row := range [][2]string{
		{"role", "HELIOGRAPH " + strings.ToUpper(u.role)},
		{"name", u.host},
		{"pair", u.pair + ", key " + u.check},
		{"board", u.board.Name + address(u.hosts)},
		{"OPC UA", u.thumbprint},
		{"release", u.updates},
		{"wiring", u.wiring(peer)},
	} {
		for i, line := range wrap(row[1], labelWidth-8) {
			if i > 0 {
				row[0] = ""
			}
			fmt.Fprintf(&b, "| %-8s%-*s |\n", row[0], labelWidth-8, line)
		}
	}
	b.WriteString(edge)
	return b.String()
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
