package config

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"heliograph/drivers/netdev"
)

// ErrInterfaceOfBoard is what a role on a host says to an interface of a UDP link, which
// the PID 1 of a board sets up.
var ErrInterfaceOfBoard = errors.New("[link] interface and local with medium \"udp\" are for boards: remove them, " +
	"and give the interface its address as this system does")

// link checks the [link] table: each medium requires its own keys and forbids those of the
// others, so that every key has an effect. sends says that the file is a transmitter's.
func (r *report) link(raw rawLink, sends bool) Link {
	const a = tablePath("link")
	l := Link{Medium: Medium(raw.Medium), KeyFile: r.keyFile(raw.KeyFile)}
	var err error
	if l.Overhead, err = ParsePercent(cmp.Or(raw.Overhead, defaultOverhead)); err != nil {
		r.fault(a, "overhead", "overhead: %v", err)
	}
	switch l.Medium {
	case UDP:
		r.forbid(a, "medium udp", "speed", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		if raw.Address == "" {
			r.fault(a, "address",
				"address is missing: write where TX sends to and RX listens, as in address = \"10.0.0.3:17000\"")
		} else {
			l.Address, _ = r.hostPort(a, "address", raw.Address, "")
		}
		l.PeerMAC = r.peerMAC(raw.PeerMAC, l.Address, sends)
		if r.has(a, "interface") || r.has(a, "local") {
			l.Interface, l.Local = r.networkInterface(raw.Interface), r.local(raw.Local, l.Address, sends)
		}
	case Ethernet:
		r.forbid(a, "medium ethernet", "address", "peer_mac", "local", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		l.Interface = r.networkInterface(cmp.Or(raw.Interface, r.machine.Interface))
		l.Speed = r.speed(raw.Speed)
	case UART:
		r.forbid(a, "medium uart", "address", "peer_mac", "interface", "local", "speed", "rate")
		l.Device, l.Baud = r.device(cmp.Or(raw.Device, r.machine.Device)), r.baud(raw.Baud)
	case "":
		r.fault(a, "medium", "medium is missing: write \"udp\", \"ethernet\" or \"uart\"")
	default:
		r.choice(a, "medium", raw.Medium, string(UDP), string(Ethernet), string(UART))
	}
	return l
}

// destination checks where TX sends to; RX may listen on all of its addresses.
func (r *report) destination(l Link) {
	host, _, err := net.SplitHostPort(l.Address)
	if l.Medium != UDP || err != nil || !unspecified(host) {
		return
	}
	r.fault("link", "address", "address %q is not one that can be sent to: write RX's own address", l.Address)
}

func (r *report) rate(s string) float64 {
	rate, err := ParseRate(cmp.Or(s, defaultRate))
	if err != nil {
		r.fault("link", "rate", "rate: %v", err)
	}
	return rate
}

func (r *report) baud(n int64) int {
	if n == 0 && !r.has("link", "baud") {
		return cmp.Or(r.machine.Baud, defaultBaud)
	}
	if n < minBaud || n > maxBaud {
		r.fault("link", "baud", "baud %d must be from %d to %d", n, minBaud, maxBaud)
	}
	return int(n)
}

// device checks for an absolute path. The check may run on another machine than the
// board, so the device need not exist.
func (r *report) device(s string) string {
	if s == "" {
		r.fault("link", "device", "device is missing: write the link's serial port, such as \"/dev/ttyAMA0\"; only "+
			"what is checked for a board (--board) may leave it to that")
		return s
	}
	if !strings.HasPrefix(s, "/") {
		r.fault("link", "device", "device %q must be an absolute path, such as \"/dev/ttyAMA0\"", s)
	}
	return s
}

// networkInterface checks how an interface is named; whether it exists shows where the
// role runs.
func (r *report) networkInterface(s string) string {
	if s == "" {
		r.fault("link", "interface", "interface is missing: write the network interface used only for the link, as in "+
			"interface = \"eth1\"; only what is checked for a board (--board) may leave it to that")
	} else if _, err := netdev.Parse(s); err != nil {
		r.fault("link", "interface", "interface %v", err)
	}
	return s
}

// speed checks a speed at which a network interface may be fixed, in Mbit/s.
func (r *report) speed(s string) int {
	if !r.has("link", "speed") {
		return 0
	}
	r.choice("link", "speed", s, "10", "100", "1000", "2500", "5000", "10000")
	mbits, _ := strconv.Atoi(s) // choice has reported a value that is not a number
	return mbits
}

// peerMAC checks the hardware address that a transmitter writes into its neighbour table.
// It belongs to one address, which a host name need not keep.
func (r *report) peerMAC(s, address string, sends bool) string {
	const a, key = tablePath("link"), "peer_mac"
	if !r.has(a, key) {
		return ""
	}
	if !sends {
		r.fault(a, key, "peer_mac belongs in the transmitter's file: a receiver sends nothing")
		return ""
	}
	mac, err := netdev.ParseMAC(s)
	if err != nil {
		r.fault(a, key, "peer_mac %v", err)
		return ""
	}
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); address != "" && (err != nil || !neighbour(ip)) {
		r.fault(a, key, "peer_mac needs an address in numbers, of another machine on the same network, as in "+
			"address = \"10.0.0.3:17000\"")
	}
	return mac.String()
}

// local checks the address that the link's own interface gets: a transmitter reaches the
// link's address over it, and a receiver's is that address.
func (r *report) local(s, address string, sends bool) netip.Prefix {
	const a, key = tablePath("link"), "local"
	if s == "" {
		r.fault(a, key, "local is missing: write the address of the link's interface, as in local = \"10.9.0.1/30\"")
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() || !neighbour(p.Addr()) {
		r.fault(a, key, "local %q is not an IPv4 address such as \"10.9.0.1/30\"", s)
		return netip.Prefix{}
	}
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	switch {
	case address == "": // reported
	case sends && (err != nil || !p.Contains(ip) || ip == p.Addr()):
		r.fault(a, key, "local %s: address must be another one, in numbers, of the same network %s", s, p.Masked())
	case !sends && ip != p.Addr():
		r.fault(a, key, "local %s: address must have the same one, as in address = \"%s:17000\"", s, p.Addr())
	}
	return p
}

// neighbour says whether an address can be another machine's.
func neighbour(ip netip.Addr) bool {
	everyone := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return !ip.IsLoopback() && !ip.IsMulticast() && !ip.IsUnspecified() && ip != everyone
}

// OnLoopback reports whether the link's two ends are on one machine, by its address.
func (l Link) OnLoopback() bool {
	host, _, err := net.SplitHostPort(l.Address)
	return l.Medium == UDP && err == nil && loopback(host)
}
