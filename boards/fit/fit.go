// Package fit compares a role's configuration with the board that it is for: what
// [link] leaves out the board supplies, and what could not work on it is a fault of
// the line that asks for it.
//
//	[link] device     the board's link port, not its console, not another name of either
//	[link] baud       not beyond what the port's clock gives
//	[link] interface  one that the board has beside the interface to the outside
//	[link] address    not the board itself
//	listen            an address that the board has, where network.toml fixes it
//	network.toml      an interface that the board has, and that is not the link's
//
// It decides from the board's data alone: it opens no device and reads no file, and it
// refuses to judge a machine that is not one of package boards, where anything goes.
package fit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"heliograph/boards"
	"heliograph/firmware/config"
)

// Network is what a board's network.toml says. The zero value is that it is not known.
type Network struct {
	Interface string
	Address   netip.Prefix // invalid: a server assigns it
}

// Defaults returns the board that users call name as what completes a configuration,
// without a check; any machine if there is no such board. It is for a role that PID 1
// of a board has started, which has checked the configuration.
func Defaults(name string) config.Machine {
	b, _ := boards.ByName(name)
	m := Machine(b, Network{})
	m.Check = nil
	return m
}

// Machine returns a board, with its network.toml, as what a configuration is for.
func Machine(b boards.Board, n Network) config.Machine {
	if !described(b) {
		return config.Machine{}
	}
	return config.Machine{
		Device: b.Link.Device, Baud: b.Link.Baud, Interface: b.Network.Link,
		Check: func(s config.Setup) []config.Misfit { return Check(b, n, s) },
	}
}

// described says whether more than the name of a board is known.
func described(b boards.Board) bool { return b.Console.Device != "" || b.Link.Device != "" }

// Check returns what in a configuration does not fit a board.
func Check(b boards.Board, n Network, s config.Setup) (list []config.Misfit) {
	if !described(b) {
		return nil
	}
	type check func(boards.Board, Network, config.Setup) []config.Misfit
	for _, check := range []check{port, ethernet, datagrams, listen} {
		list = append(list, check(b, n, s)...)
	}
	return list
}

// CheckNetwork returns what in a network.toml does not fit a board and its link.
func CheckNetwork(b boards.Board, n Network, l config.Link) []config.Misfit {
	fault := func(format string, a ...any) []config.Misfit {
		return []config.Misfit{{Key: "interface", Message: fmt.Sprintf(format, a...)}}
	}
	switch {
	case !described(b) || n.Interface == "":
		return nil
	case l.Interface == n.Interface:
		return fault("interface %q is the link's: the board's own is %q", n.Interface, b.Network.Outside)
	case !has(b, n.Interface):
		return fault("interface %q is not one of board %s, which calls them %s: write %q", n.Interface, b.Name,
			namesInWords(), b.Network.Outside)
	case (l.Medium == config.Ethernet || l.Interface != "") && byChance(b, n.Interface):
		return fault("interface %q: beside the link's, which one that is on board %s is chance: name the board's own "+
			"by \"path:…\" or \"mac:…\"", n.Interface, b.Name)
	}
	return nil
}

// link makes a fault of a key of [link].
func link(key, format string, a ...any) []config.Misfit {
	return []config.Misfit{{Table: "link", Key: key, Message: fmt.Sprintf(format, a...)}}
}

// port checks the serial port of a UART link.
func port(b boards.Board, _ Network, s config.Setup) []config.Misfit {
	l := s.Link
	switch {
	case l.Medium != config.UART || l.Device == "":
		return nil
	case b.Link.Device == "":
		return link("medium", "board %s has no serial port for a link: use medium = \"ethernet\" or \"udp\"", b.Name)
	case l.Device == b.Console.Device:
		return link("device", "device %q is the console of board %s: %s", l.Device, b.Name, use(b))
	case l.Device != b.Link.Device:
		return link("device", "device %q is not the link of board %s: %s", l.Device, b.Name, use(b))
	case b.Link.Fastest > 0 && l.Baud > b.Link.Fastest:
		return link("baud", "baud %d: the port of board %s does at most %d", l.Baud, b.Name, b.Link.Fastest)
	}
	return nil
}

func use(b boards.Board) string {
	where := ""
	if p := b.Link.Pins; p != (boards.Pins{}) {
		where = fmt.Sprintf(" (TXD GPIO %d, RXD GPIO %d)", p.TXD, p.RXD)
	}
	return fmt.Sprintf("leave device out, or write %q%s", b.Link.Device, where)
}

// names returns how the kernel of our boards calls interfaces, before a number.
func names() []string { return []string{"eth", "usb"} }

func namesInWords() string { return strings.Join(names(), "0, ") + "0" }

// has says whether an interface may be one of a board: by a name of the kernel, or in
// another way than by name, which has a colon or a slash in it.
func has(b boards.Board, name string) bool {
	if name == b.Network.Outside || name == b.Network.Link || strings.ContainsAny(name, ":/@") {
		return true
	}
	word := strings.TrimRight(name, "0123456789")
	return word != name && slices.Contains(names(), word)
}

// ethernet checks the interface of an Ethernet link, or of one over UDP that has its own.
func ethernet(b boards.Board, n Network, s config.Setup) []config.Misfit {
	l := s.Link
	outside := b.Network.Outside
	if n.Interface != "" {
		outside = n.Interface
	}
	switch {
	case l.Interface == "":
		return nil
	case len(b.Network.Drivers()) == 0:
		return link("medium", "board %s has no second interface for a link: use medium = \"uart\"", b.Name)
	case l.Interface == n.Interface && l.Interface != b.Network.Outside:
		return link("interface", "interface %q is the board's own in network.toml: use another one there or here",
			l.Interface)
	case l.Interface == outside:
		return link("interface", "interface %q is the board's own, to %s: %s", l.Interface, side(s.Role), other(b))
	case !has(b, l.Interface):
		return link("interface", "interface %q is not one of board %s, which calls them %s: %s", l.Interface, b.Name,
			namesInWords(), other(b))
	case byChance(b, l.Interface):
		return link("interface", "interface %q: which one that is on board %s is chance: %s", l.Interface, b.Name,
			other(b))
	}
	return nil
}

// byChance says whether the kernel may give another interface the name at each start:
// on boards that have all interfaces on USB.
func byChance(b boards.Board, name string) bool {
	return b.Network.Link == "" && len(b.Network.Drivers()) > 0 && !strings.Contains(name, ":")
}

// other says which interface the link may have.
func other(b boards.Board) string {
	if b.Network.Link == "" {
		return `name the link's own by "path:…" or "mac:…"`
	}
	return fmt.Sprintf("leave interface out, or write %q", b.Network.Link)
}

func side(role string) string {
	if role == "tx" {
		return "the plant"
	}
	return "IT"
}

// datagrams checks the address of a UDP link.
func datagrams(_ boards.Board, n Network, s config.Setup) []config.Misfit {
	host, _ := split(s.Link.Address)
	if s.Link.Medium != config.UDP || s.Role != "tx" {
		return nil
	}
	if a, err := netip.ParseAddr(host); host == "localhost" || err == nil && (a.IsLoopback() || own(n, a)) {
		return link("address", "address %q is this board itself: write RX's own address", s.Link.Address)
	}
	return nil
}

// own says whether an address is the board's. The boards have no IPv6.
func own(n Network, a netip.Addr) bool { return n.Address.IsValid() && a == n.Address.Addr() }

// split divides "host:port", which package config has checked.
func split(address string) (host, port string) {
	i := max(strings.LastIndexByte(address, ':'), 0)
	return strings.Trim(address[:i], "[]"), strings.TrimPrefix(address[i:], ":")
}

// listen checks that the board has the addresses that it is to listen on.
func listen(_ boards.Board, n Network, s config.Setup) (list []config.Misfit) {
	for _, l := range s.Listen {
		host, number := split(l.Value)
		a, err := netip.ParseAddr(host)
		checked := l.Table == "link" && s.Link.Local.IsValid() // of the link's interface: package config checks it
		if err != nil || a.IsUnspecified() || checked {
			continue
		}
		switch {
		case a.IsLoopback() && l.Table == "link":
			list = append(list, link("address", "address %q is reached from this board alone: write 0.0.0.0:%s",
				l.Value, number)...)
		case a.IsLoopback() || a.IsMulticast() || !n.Address.IsValid() && !a.Is6():
		case a.Is6():
			list = append(list, config.Misfit{Table: l.Table, Key: l.Key, Message: fmt.Sprintf(
				"%s %q: boards have no IPv6: write 0.0.0.0:%s", l.Key, l.Value, number)})
		case !own(n, a):
			list = append(list, config.Misfit{Table: l.Table, Key: l.Key, Message: fmt.Sprintf(
				"%s %q: the board's address is %s (network.toml): write that, or 0.0.0.0:%s", l.Key, l.Value,
				n.Address.Addr(), number)})
		}
	}
	return list
}
