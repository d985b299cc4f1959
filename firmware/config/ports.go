package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
)

// Ports are the TCP ports that a role uses: those that it listens on, and those of
// its peers.
type Ports struct{ Listen, Connect []uint16 }

// portDNS: resolvers use TCP for answers that are too long for a datagram.
const portDNS = 53

// Ports returns the ports of the plant side.
func (c *TX) Ports() Ports {
	p := c.Status.ports()
	p.connect(c.Telemetry.Endpoint)
	for _, s := range c.OPCUA {
		p.connect(s.Endpoint)
	}
	for _, s := range c.MQTT {
		p.connect(s.Broker)
	}
	for _, s := range c.Syslog {
		for _, address := range s.Listen {
			p.listen(address)
		}
	}
	return p.sorted()
}

// Ports returns the ports of the IT side.
func (c *RX) Ports() Ports {
	p := c.Status.ports()
	p.connect(c.Telemetry.Endpoint)
	p.connect(c.Audit.Forward)
	p.connect(c.Announce.Syslog.Forward)
	p.listen(c.Announce.OPCUA.Listen)
	for _, s := range c.OPCUA {
		p.listen(s.Listen)
	}
	for _, s := range c.MQTT {
		p.connect(s.Broker)
		p.listen(s.Listen)
	}
	for _, s := range c.Syslog {
		p.connect(s.Forward)
	}
	return p.sorted()
}

func (s Status) ports() (p Ports) {
	p.listen(s.Listen)
	p.listen(s.UpdateListen)
	return p
}

func (p *Ports) listen(address string)  { addPort(&p.Listen, address) }
func (p *Ports) connect(address string) { addPort(&p.Connect, address) }

// addPort adds the port of an address, "host:port" or a URL, unless it is a UDP port.
func addPort(to *[]uint16, address string) {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		if u.Scheme == "udp" {
			return
		}
		address = u.Host
	}
	_, number, err := net.SplitHostPort(address)
	if err != nil {
		return // "": not configured
	}
	if n, err := strconv.ParseUint(number, 10, 16); err == nil {
		*to = append(*to, uint16(n))
	}
}

func (p Ports) sorted() Ports {
	p.Connect = append(p.Connect, portDNS)
	for _, list := range []*[]uint16{&p.Listen, &p.Connect} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return p
}
