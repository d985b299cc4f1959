package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// portSet checks that no two listeners need one port of an address.
type portSet struct {
	*report
	taken    []listener
	settings []Setting // all that were added
}

// listener is one address that the role listens on.
type listener struct {
	network    string // tcp or udp
	host, port string
	line       int
	file       string // "": the file that is checked
}

func (s *portSet) addStatus(c Status) {
	s.add("status", "listen", "tcp", c.Listen)
	s.add("status", keyUpdateListen, "tcp", c.UpdateListen)
}

func (s *portSet) addURL(a tablePath, key, listen string) {
	scheme, address, found := strings.Cut(listen, "://")
	if !found {
		return
	}
	network := "tcp"
	if scheme == "udp" {
		network = "udp"
	}
	s.add(a, key, network, address)
}

func (s *portSet) add(a tablePath, key, network, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return // "", or reported already
	}
	s.settings = append(s.settings, Setting{Table: string(a), Key: key, Value: address})
	l := listener{network: network, host: host, port: port, line: s.lines.of(a, key)}
	if port == "0" {
		return
	}
	for _, other := range s.taken {
		if !l.overlaps(other) {
			continue
		}
		where := fmt.Sprintf("line %d", other.line)
		if other.file != "" {
			where += " of " + other.file
		}
		s.fault(a, key, "%s %s is already used on %s: choose another port", network, address, where)
		return
	}
	s.taken = append(s.taken, l)
}

// overlaps says whether the system refuses the second of two listeners. One on all
// addresses takes the port of each.
func (l listener) overlaps(m listener) bool {
	return l.network == m.network && l.port == m.port && (l.host == m.host || covers(l.host, m.host) ||
		covers(m.host, l.host))
}

// covers says whether listening on all addresses of a host takes the port of another.
// The unspecified address of IPv6 is that of IPv4 too (ipv6(7), IPV6_V6ONLY).
func covers(all, one string) bool {
	if !unspecified(all) {
		return all == "localhost" && isLoopback(one)
	}
	a, _ := netip.ParseAddr(all)
	b, err := netip.ParseAddr(one)
	return !a.Is4() || err != nil || b.Is4() || b.IsUnspecified()
}

// unspecified says whether a host stands for all addresses of the machine.
func unspecified(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
