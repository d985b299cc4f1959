package network

import (
	"bytes"
	"fmt"
	"net"
	"strings"

	"heliograph/drivers/netdev"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/store"
)

// Settings are the files with a board's network.toml.
type Settings struct {
	Console string // record that the console has written; it comes first
	Card    string // on the boot partition, which is never written while the board runs
}

const maxCard = 64 << 10 // bytes of network.toml

// Read returns the configuration that holds.
func (s Settings) Read() (Config, error) {
	name := s.Console
	text, err := store.Read(s.Console)
	if err != nil {
		name = s.Card
		if text, err = regular.Read(s.Card, maxCard); err != nil {
			return Config{}, err
		}
	}
	c, err := Parse(bytes.NewReader(text))
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Write keeps a configuration that the console has set, if it is valid. It takes
// effect with the next start.
func (s Settings) Write(c Config) error {
	text := c.Text()
	if _, err := Parse(strings.NewReader(text)); err != nil {
		return err
	}
	return store.Write(s.Console, []byte(text))
}

// AssignedAddress returns the address that the interface has been given, in words.
func (c Config) AssignedAddress() string {
	if !c.DHCP {
		return c.Address.String()
	}
	name, err := c.device()
	if err != nil {
		return DHCP
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return DHCP
	}
	list, _ := i.Addrs()
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil { // the kernel gives itself one of IPv6
			return n.String() + " by dhcp"
		}
	}
	return "no answer to dhcp yet"
}

// device returns the kernel's name of the interface, which may change when the interface
// goes and comes back.
func (c Config) device() (string, error) {
	d, err := netdev.Find(c.Interface)
	if err != nil {
		return "", fmt.Errorf("network: %v", err)
	}
	return d.Name, nil
}
