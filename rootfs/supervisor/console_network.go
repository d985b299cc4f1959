package supervisor

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"heliograph/boards/fit"
	"heliograph/rootfs/console"
	"heliograph/rootfs/network"
)

// Network implements console.Board.
func (b *ConsoleBoard) Network() console.Network {
	c, err := b.config.Network.Read()
	if err != nil {
		return console.Network{Interface: b.config.Board.Network.Outside}
	}
	n := console.Network{Hostname: c.Hostname, Interface: c.Interface, Address: c.Address.String()}
	if c.DHCP {
		n.Address = network.DHCP
	}
	if c.Gateway.IsValid() {
		n.Gateway = c.Gateway.String()
	}
	var nameservers []string
	for _, a := range c.Nameservers {
		nameservers = append(nameservers, a.String())
	}
	n.Nameservers = strings.Join(nameservers, " ")
	return n
}

// CheckNetwork implements console.Board.
func (b *ConsoleBoard) CheckNetwork(n console.Network) error {
	_, err := b.readNetwork(n)
	return err
}

// readNetwork returns what was typed, if the board can use it.
func (b *ConsoleBoard) readNetwork(n console.Network) (network.Config, error) {
	c, err := parseNetwork(n)
	if err != nil {
		return c, err
	}
	if _, err := network.Parse(strings.NewReader(c.Text())); err != nil {
		return c, err
	}
	link := b.config.Role.configuredPaths().link
	if list := fit.CheckNetwork(b.config.Board, fit.Network{Interface: n.Interface}, link); len(list) > 0 {
		return c, errors.New("network: " + list[0].Message)
	}
	return c, nil
}

// SetNetwork implements console.Board.
func (b *ConsoleBoard) SetNetwork(n console.Network) error {
	c, err := b.readNetwork(n)
	if err != nil {
		return err
	}
	if err := b.config.Network.Write(c); err != nil {
		return err
	}
	b.config.Log.Warn("network set on the console", "address", n.Address)
	return nil
}

// parseNetwork reads what was typed. Whether it makes sense package network judges.
func parseNetwork(n console.Network) (network.Config, error) {
	c := network.Config{Hostname: n.Hostname, Interface: n.Interface, DHCP: n.Address == network.DHCP}
	var err error
	if c.Address, err = netip.ParsePrefix(n.Address); err != nil && !c.DHCP {
		return c, fmt.Errorf("network: address %q is neither dhcp nor one such as 10.0.0.2/24", n.Address)
	}
	if n.Gateway != "" {
		if c.Gateway, err = netip.ParseAddr(n.Gateway); err != nil {
			return c, fmt.Errorf("network: gateway %q is not an address", n.Gateway)
		}
	}
	for _, s := range strings.FieldsFunc(n.Nameservers, func(r rune) bool { return r == ' ' || r == ',' }) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return c, fmt.Errorf("network: nameserver %q is not an address", s)
		}
		c.Nameservers = append(c.Nameservers, a)
	}
	return c, nil
}
