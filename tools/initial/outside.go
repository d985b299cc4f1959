package initial

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"heliograph/boards"
	"heliograph/rootfs/network"
)

// NetworkFile returns the file with the address of the board that has a configuration.
func NetworkFile(configuration string) string {
	return strings.TrimSuffix(configuration, filepath.Ext(configuration)) + "-network.toml"
}

// outsideQuestions are about the address of each board.
func outsideQuestions() (list []Question) {
	for _, side := range []struct {
		flag, name, where string
		of                func(*Answers) *Outside
	}{{"tx", "TX", "the plant", func(a *Answers) *Outside { return &a.TXOwn }},
		{"rx", "RX", "IT's network", func(a *Answers) *Outside { return &a.RXOwn }}} {
		of, fixed := side.of, func(a Answers) bool {
			address := side.of(&a).Address
			return a.onBoard() && address != "" && address != network.DHCP
		}
		const board, static = "--board other than host", "an address in place of dhcp"
		list = append(list,
			Question{Flag: side.flag + "-own", Page: PageOutside, Title: "Interface of " + side.name + "'s board",
				Help: "boards whose interfaces have names by chance: the one of " + side.name + " to " + side.where +
					", as in mac:02:00:5e:10:00:01",
				Asked: byChance, Needs: "--medium ethernet, and a board with all interfaces on USB",
				Field: func(a *Answers) *string { return &of(a).Interface },
				Missing: text(`which interface of this board has which name is chance: write "mac:…" or ` +
					`"path:…"`),
				Check: checkOutside(of, func(o *Outside, s string) { o.Interface = s })},
			Question{Flag: side.flag + "-ip", Page: PageOutside, Title: "Address of " + side.name + "'s board",
				Help: "boards: address of " + side.name + " in " + side.where +
					" with its prefix, as in 10.0.0.2/24; default: dhcp, from a server",
				Asked: Answers.onBoard, Needs: board,
				Field:   func(a *Answers) *string { return &of(a).Address },
				Default: text(network.DHCP), Missing: text("write one, as in 10.0.0.2/24, or dhcp"),
				Check: checkOutside(of, func(o *Outside, s string) { *o = Outside{Address: s} })},
			Question{Flag: side.flag + "-gateway", Page: PageGateways,
				Title: "Gateway of " + side.name + "'s board (empty: none)",
				Help:  "boards: gateway of " + side.name + ", as in 10.0.0.1",
				Asked: fixed, Needs: static,
				Field: func(a *Answers) *string { return &of(a).Gateway },
				Check: checkOutside(of, func(o *Outside, s string) { o.Gateway = s })},
			Question{Flag: side.flag + "-nameservers", Page: PageGateways,
				Title: "Nameservers of " + side.name + "'s board (empty: none)",
				Help:  "boards: nameservers of " + side.name + ", as in 10.0.0.1,10.0.0.9",
				Asked: fixed, Needs: static,
				Field: func(a *Answers) *string { return &of(a).Nameservers },
				Check: checkOutside(of, func(o *Outside, s string) { o.Nameservers = s })})
	}
	return list
}

// byChance says whether the board's own interface has to be named apart from the link's.
func byChance(a Answers) bool {
	return a.onBoard() && a.Medium == ethernet && a.board().Network.Link == ""
}

// checkOutside checks an answer together with those before it.
func checkOutside(of func(*Answers) *Outside, set func(*Outside, string)) func(Answers, string) error {
	return func(a Answers, s string) error {
		o := *of(&a)
		set(&o, s)
		_, err := network.Parse(strings.NewReader(outside(o, a.board(), "board")))
		if wrong, ok := errors.AsType[network.Fault](err); ok {
			return errors.New(inWords(wrong.Message, wrong.Key, s))
		}
		return err
	}
}

// Network returns the network.toml of a board of a role, tx or rx.
func Network(a Answers, role string) string {
	o := a.TXOwn
	if role == "rx" {
		o = a.RXOwn
	}
	d := document{}
	d.note(fmt.Sprintf("Network of %s's board, made by \"heliograph init\" for \"heliograph flash\"; key n of the "+
		"board's", strings.ToUpper(role)))
	d.note("console can set another one.")
	return d.String() + outside(o, a.board(), hostname(a.Pair, role))
}

func outside(o Outside, b boards.Board, host string) string {
	d := document{}
	d.key("hostname", host, "")
	d.key("interface", cmp.Or(o.Interface, b.Network.Outside), "")
	d.key("address", cmp.Or(o.Address, network.DHCP), "")
	if o.Gateway != "" {
		d.key("gateway", o.Gateway, "")
	}
	if servers := list(o.Nameservers); len(servers) > 0 {
		d.key("nameservers", servers, "")
	}
	return d.String()
}

// hostname is what a board of a pair is called.
func hostname(pair, role string) string {
	const most = 60
	name := strings.Map(func(c rune) rune {
		if c == '_' {
			return '-'
		}
		return c
	}, pair)
	return name[:min(len(name), most)] + "-" + role
}

// FromHere returns how this machine reaches what the plant's side names by a URL: an emulated
// board reaches this machine at an address of its own.
func (a Answers) FromHere(address string) string {
	u, err := url.Parse(address)
	if at := a.board().Network.Emulator; at == "" || err != nil || u.Hostname() != at {
		return address
	}
	return strings.Replace(address, u.Hostname(), "127.0.0.1", 1)
}
