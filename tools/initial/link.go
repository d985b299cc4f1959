package initial

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"heliograph/boards"
)

// The media, as [link] names them.
const (
	udp      = "udp"
	ethernet = "ethernet"
	uart     = "uart"
)

// What an Ethernet link is made of.
const (
	fastFibre    = "100base-fx"
	gigabitFibre = "1000base-x"
	bought       = "diode"
)

func text(s string) func(Answers) string { return func(Answers) string { return s } }

func pairQuestions() []Question {
	return []Question{
		{Flag: "tx", Page: PageFiles, Title: "File for heliotx", Help: "configuration of heliotx that is written",
			Field: func(a *Answers) *string { return &a.TX }, Default: text("tx.toml"), Missing: text("name a file"),
			Check: checkFile},
		{Flag: "rx", Page: PageFiles, Title: "File for heliorx", Help: "configuration of heliorx that is written",
			Field: func(a *Answers) *string { return &a.RX }, Default: text("rx.toml"), Missing: text("name a file"),
			Check: func(a Answers, s string) error {
				if s == a.TX {
					return fmt.Errorf("heliotx has that file: name another one")
				}
				return checkFile(a, s)
			}},
		{Flag: "pair", Page: PagePair, Title: "Name of the pair", Help: "name of the pair of heliotx and heliorx",
			Field: func(a *Answers) *string { return &a.Pair }, Default: text(defaultPair),
			Missing: text("name the pair, as in " + defaultPair), Check: checkName},
		{Flag: "board", Page: PagePair, Title: "What the two run on",
			Help:    "board of both sides, or host for Linux machines",
			Field:   func(a *Answers) *string { return &a.Board },
			Options: func(Answers) []string { return append([]string{host}, strings.Split(boards.Names(), ", ")...) },
			Default: text(host), Missing: text("name a board, or host")},
	}
}

func linkQuestions() []Question {
	on := func(m string) func(Answers) bool { return func(a Answers) bool { return a.Medium == m } }
	return slices.Concat([]Question{{
		Flag: "medium", Page: PageMedium, Title: "Medium of the link",
		Help:  "uart: a wire; ethernet: a TX-only fibre; udp: a diode that passes IP, or a trial on one machine",
		Field: func(a *Answers) *string { return &a.Medium }, Options: media,
		Default: func(a Answers) string { return media(a)[0] }, Missing: text("name one"),
	}}, serialQuestions(on(uart)), ethernetQuestions(on(ethernet)), udpQuestions(on(udp)), []Question{
		{Flag: "rate", Page: PageLink, Title: "Rate of the link",
			Help:  "udp, ethernet: maximum send rate with headers and parity",
			Asked: func(a Answers) bool { return a.Medium != uart }, Needs: "--medium udp or ethernet",
			Field:   func(a *Answers) *string { return &a.Rate },
			Default: func(a Answers) string { return suggestedRate(a) }, Missing: text("write one, as in 100Mbit/s"),
			Check: checkRate},
		{Flag: "overhead", Page: PageLink, Title: "Overhead for parity",
			Help:    "least share of parity, from which lost frames are repaired, of 500% at most",
			Field:   func(a *Answers) *string { return &a.Overhead },
			Default: func(a Answers) string { return suggestedOverhead(a) },
			Missing: text("write one, as in 25%"), Check: checkShare},
	})
}

// media are those that a machine can have, the one for it first.
func media(a Answers) (list []string) {
	b := a.board()
	if !a.onBoard() {
		return []string{udp, ethernet, uart}
	}
	if b.Link.Device != "" {
		list = append(list, uart)
	}
	if len(b.Network.Drivers()) > 0 {
		list = append(list, ethernet)
	}
	return append(list, udp)
}

func serialQuestions(asked func(Answers) bool) []Question {
	onHost := func(a Answers) bool { return asked(a) && !a.onBoard() }
	return []Question{
		{Flag: "tx-device", Page: PageLink, Title: "Serial port of TX", Help: "uart on hosts: serial port of TX",
			Asked: onHost, Needs: "--medium uart and --board host",
			Field: func(a *Answers) *string { return &a.TXDevice }, Default: text("/dev/ttyUSB0"),
			Missing: text("write the path of the serial port"), Check: checkDevice},
		{Flag: "rx-device", Page: PageLink, Title: "Serial port of RX", Help: "uart on hosts: serial port of RX",
			Asked: onHost, Needs: "--medium uart and --board host",
			Field:   func(a *Answers) *string { return &a.RXDevice },
			Default: func(a Answers) string { return cmp.Or(a.TXDevice, "/dev/ttyUSB0") },
			Missing: text("write the path of the serial port"), Check: checkDevice},
		{Flag: "baud", Page: PageLink, Title: "Baud", Help: "uart: bits per second, the same on both sides",
			Asked: asked, Needs: "--medium uart",
			Field:   func(a *Answers) *string { return &a.Baud },
			Default: func(a Answers) string { return strconv.Itoa(cmp.Or(a.board().Link.Baud, 921600)) },
			Missing: text("write one, as in 921600"), Check: checkBaud},
	}
}

func ethernetQuestions(asked func(Answers) bool) []Question {
	which := func(a Answers) string {
		if a.onBoard() && a.board().Network.Link == "" {
			return `which interface of this board has which name is chance: write "mac:…" or "path:…"`
		}
		return "write the interface that only the link uses, as in eth1"
	}
	return []Question{
		{Flag: "carrier", Page: PageLink, Title: "What the fibre is made of",
			Help: "ethernet: " + fastFibre + ", " + gigabitFibre +
				", or diode for a bought one that passes any Ethernet frame",
			Asked:   asked,
			Needs:   "--medium ethernet",
			Field:   func(a *Answers) *string { return &a.Carrier },
			Options: func(Answers) []string { return []string{fastFibre, gigabitFibre, bought} },
			Default: text(fastFibre), Missing: text("name one")},
		{Flag: "tx-interface", Page: PageLink, Title: "Interface of TX",
			Help:  "ethernet: interface of TX that only the link uses",
			Asked: asked, Needs: "--medium ethernet",
			Field: func(a *Answers) *string { return &a.TXInterface }, Missing: which,
			Default: func(a Answers) string { return a.board().Network.Link }},
		{Flag: "rx-interface", Page: PageLink, Title: "Interface of RX",
			Help:  "ethernet: interface of RX that only the link uses",
			Asked: asked, Needs: "--medium ethernet",
			Field: func(a *Answers) *string { return &a.RXInterface }, Missing: which,
			Default: func(a Answers) string { return a.board().Network.Link }},
	}
}

func udpQuestions(asked func(Answers) bool) []Question {
	return []Question{
		{Flag: "address", Page: PageLink, Title: "Address of RX",
			Help:  "udp: RX's own address and port, where TX sends to",
			Asked: asked, Needs: "--medium udp",
			Field: func(a *Answers) *string { return &a.Address }, Check: checkLink,
			Missing: text("write RX's own address, as in 10.0.0.3:17000"),
			Default: func(a Answers) string {
				if a.onBoard() {
					return ""
				}
				return defaultLink
			}},
		{Flag: "peer-mac", Page: PageLink, Title: "MAC address of RX or of the diode (empty: ARP finds it)",
			Help:  "udp: MAC address of RX or of the diode, where no answer to ARP comes back",
			Asked: asked, Needs: "--medium udp",
			Field: func(a *Answers) *string { return &a.PeerMAC }},
	}
}

// suggestedRate is what the medium carries. What leaves is limited to it, so that nothing between
// the two has to drop.
func suggestedRate(a Answers) string {
	if a.Medium == ethernet && a.Carrier == gigabitFibre {
		return "200Mbit/s"
	}
	return "100Mbit/s"
}

// rateReason explains suggestedRate.
func rateReason(a Answers) string {
	switch {
	case a.Rate != suggestedRate(a):
		return "maximum send rate, with headers and parity"
	case a.Medium == udp && a.OneMachine():
		return "far below what this machine passes to itself"
	case a.Medium == udp:
		return "what any diode passes; write what its manual says"
	case a.Carrier == fastFibre:
		return "all that 100BASE-FX carries"
	case a.Carrier == gigabitFibre:
		return "the fibre carries 1Gbit/s: raise it when RX's counters show that it keeps up"
	}
	return "what any diode passes; write what its manual says"
}

// suggestedOverhead is the least parity. An idle line carries more by itself.
func suggestedOverhead(a Answers) string {
	if a.Medium == ethernet && a.Carrier != bought {
		return "10%"
	}
	return "25%"
}

func overheadReason(a Answers) string {
	switch {
	case a.Overhead != suggestedOverhead(a):
		return "least parity, relative to the payload"
	case a.Medium == uart:
		return "a wire loses whole frames in bursts; idle capacity carries more parity"
	case a.Medium == ethernet && a.Carrier != bought:
		return "a fibre of its own loses little; idle capacity carries more parity"
	}
	return "what is between may drop frames; idle capacity carries more parity"
}
