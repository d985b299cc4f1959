package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/text"
)

// File is a configuration with the name of the file that it was read from.
type File[C any] struct {
	Name   string
	Config C
}

// ComparePair returns what two valid configurations have to agree on and do not, with
// the lines of either file, and what works only with something between the boards.
func ComparePair(tx File[TX], rx File[RX]) (Faults, []Warning) {
	c := comparison{tx: tx.Config, rx: rx.Config, plant: reread(tx.Name), it: reread(rx.Name)}
	c.link()
	c.channels()
	if c.oneMachine() {
		c.listeners()
	}
	_, _ = c.plant.err(), c.it.err() // sort
	return slices.Concat(c.plant.faults, c.it.faults), slices.Concat(c.plant.warnings, c.it.warnings)
}

// reread finds the lines of a file that was valid when it was read before.
func reread(name string) *report {
	r := &report{file: name}
	if document, err := ReadFile(name); err == nil {
		r.lines = findLines(text.TrimMark(document))
	}
	return r
}

// comparison compares both ends. Where they differ RX's line has the fault.
type comparison struct {
	tx        TX
	rx        RX
	plant, it *report
}

// differ is the fault of a key that has to be the same.
func (c comparison) differ(a tablePath, key string, tx, rx any) {
	c.it.fault(a, key, "%s is %v, and %v on line %d of TX's file: both sides need the same", key, rx, tx,
		c.plant.lines.of(a, key))
}

func (c comparison) link() {
	a, b := c.tx.Link, c.rx.Link
	if c.tx.Pair != c.rx.Pair {
		c.differ("", "pair", quoted(c.tx.Pair), quoted(c.rx.Pair))
	}
	switch {
	case a.Medium != b.Medium:
		c.differ("link", "medium", quoted(a.Medium), quoted(b.Medium))
	case a.Medium == UART && a.Baud != b.Baud:
		c.differ("link", "baud", a.Baud, b.Baud)
	case a.Medium == UDP && !reaches(a.Address, b.Address):
		c.it.warn("link", "address", "RX listens on %s and TX sends to %s (line %d of TX's file): that works only if "+
			"something between them forwards", b.Address, a.Address, c.plant.lines.of("link", "address"))
	}
	tx, err := pairkey.Read(a.KeyFile)
	rx, failed := pairkey.Read(b.KeyFile)
	if err == nil && failed == nil && tx != rx {
		c.it.fault("link", "key_file", "key_file: %s is not the key of TX, %s: copy one of them to both", b.KeyFile,
			a.KeyFile)
	}
}

func quoted[S ~string](s S) string { return fmt.Sprintf("%q", string(s)) }

// reaches says whether what is sent to one address arrives at a listener on the other,
// as far as numbers tell.
func reaches(to, on string) bool {
	host, port, _ := net.SplitHostPort(to)
	there, at, _ := net.SplitHostPort(on)
	a, err := netip.ParseAddr(host)
	b, other := netip.ParseAddr(there)
	return port == at && (err != nil || other != nil || a == b || unspecified(there))
}

// channels compares names and protocols.
func (c comparison) channels() {
	tx, rx := c.tx.channelLines(c.plant), c.rx.channelLines(c.it)
	for name, one := range tx {
		if other, ok := rx[name]; !ok {
			c.plant.faultAt(one.line, "channel %q (%s) has no table in RX's file: add one, or remove it here", name,
				one.protocol)
		} else if one.protocol != other.protocol {
			c.it.faultAt(other.line, "channel %q is %s, and %s on line %d of TX's file: both sides need the same "+
				"protocol", name, other.protocol, one.protocol, one.line)
		}
	}
	for name, one := range rx {
		if _, ok := tx[name]; !ok {
			c.it.faultAt(one.line, "channel %q (%s) has no table in TX's file: add one, or remove it here", name,
				one.protocol)
		}
	}
}

// channelLine is where a channel is defined.
type channelLine struct {
	protocol string
	line     int
}

func (c TX) channelLines(r *report) map[string]channelLine {
	found := channelsOf(nil, r, "opcua", c.OPCUA, func(s OPCUASource) string { return s.Channel })
	found = channelsOf(found, r, "mqtt", c.MQTT, func(s MQTTSource) string { return s.Channel })
	return channelsOf(found, r, "syslog", c.Syslog, func(s SyslogSource) string { return s.Channel })
}

func (c RX) channelLines(r *report) map[string]channelLine {
	found := channelsOf(nil, r, "opcua", c.OPCUA, func(s OPCUASink) string { return s.Channel })
	found = channelsOf(found, r, "mqtt", c.MQTT, func(s MQTTSink) string { return s.Channel })
	return channelsOf(found, r, "syslog", c.Syslog, func(s SyslogSink) string { return s.Channel })
}

func channelsOf[T any](found map[string]channelLine, r *report, protocol string, list []T, name func(T) string,
) map[string]channelLine {
	if found == nil {
		found = map[string]channelLine{}
	}
	for i, one := range list {
		found[name(one)] = channelLine{protocol, r.lines.of(element(protocol, i), "channel")}
	}
	return found
}

// oneMachine says whether both roles are for one machine: the link does not leave it.
func (c comparison) oneMachine() bool {
	host, _, err := net.SplitHostPort(c.tx.Link.Address)
	return c.tx.Link.Medium == UDP && err == nil && (host == "localhost" || isLoopback(host))
}

// listeners checks what two roles on one machine may not share.
func (c comparison) listeners() {
	if c.tx.State == c.rx.State {
		c.it.fault("state", "directory", "directory %s is TX's too, and both roles are on this machine: use another "+
			"one", c.rx.State)
	}
	ports := portSet{report: c.plant}
	ports.addStatus(c.tx.Status)
	for i, s := range c.tx.Syslog {
		for _, url := range s.Listen {
			ports.addURL(element("syslog", i), "listen", url)
		}
	}
	ports.report = c.it
	for i := range ports.taken {
		ports.taken[i].file = "TX's file"
	}
	ports.add("link", "address", "udp", c.rx.Link.Address)
	ports.addStatus(c.rx.Status)
	ports.addURL("announce", "listen", c.rx.Announce.OPCUA.Listen)
	for i, s := range c.rx.OPCUA {
		ports.addURL(element("opcua", i), "listen", s.Listen)
	}
	for i, s := range c.rx.MQTT {
		ports.addURL(element("mqtt", i), "listen", s.Listen)
	}
}
