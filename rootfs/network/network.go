// Package network gives a board its one address, as network.toml in the boot
// partition says:
//
//	hostname    = "press-hall-tx"
//	interface   = "eth0"         # or "mac:ADDRESS", "path:PATH": see package netdev
//	address     = "10.0.0.2/24"  # or "dhcp", and then neither of the next two
//	gateway     = "10.0.0.1"     # may be missing
//	nameservers = ["10.0.0.1"]   # may be missing
//
// It refuses any interface but the one named and the loopback, and all but IPv4. The
// other interfaces stay down, the link's included. Of what a DHCP server offers it
// uses address, netmask, gateway and nameservers.
package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"heliograph/drivers/netdev"
	"heliograph/firmware/platform/text"
)

// Config is a validated network.toml.
type Config struct {
	Hostname    string
	Interface   string // as package netdev reads it
	DHCP        bool   // the rest comes from a server
	Address     netip.Prefix
	Gateway     netip.Addr // the zero value: none
	Nameservers []netip.Addr
}

// DHCP is the address of a board that gets one from a server.
const DHCP = "dhcp"

const (
	mostBytes = 64 << 10
	mostHost  = 63
)

// Fault is a value of a network.toml that cannot be used.
type Fault struct {
	Key     string
	Line    int // 0: the key says where it is
	Message string
}

// Error implements error.
func (f Fault) Error() string {
	if f.Line > 0 {
		return fmt.Sprintf("network: line %d: %s", f.Line, f.Message)
	}
	return "network: " + f.Message
}

func fault(key, format string, a ...any) error {
	return Fault{Key: key, Message: fmt.Sprintf(format, a...)}
}

// Parse reads a network.toml. A value that cannot be used is a Fault.
func Parse(r io.Reader) (Config, error) {
	var raw struct {
		Hostname    string   `toml:"hostname"`
		Interface   string   `toml:"interface"`
		Address     string   `toml:"address"`
		Gateway     string   `toml:"gateway"`
		Nameservers []string `toml:"nameservers"`
	}
	if err := decode(r, &raw); err != nil {
		return Config{}, err
	}
	c := Config{Hostname: raw.Hostname, Interface: raw.Interface}
	if len(c.Hostname) > mostHost || strings.ContainsFunc(c.Hostname, notInName) {
		return Config{}, fault("hostname", "hostname %q: at most %d letters, digits, dots and hyphens", c.Hostname,
			mostHost)
	}
	if _, err := netdev.Parse(c.Interface); err != nil {
		return Config{}, fault("interface", "interface %v", err)
	}
	if raw.Address == DHCP {
		c.DHCP = true
		if raw.Gateway != "" || len(raw.Nameservers) > 0 {
			return Config{}, fault("address", "with address \"dhcp\" gateway and nameservers come from the server: "+
				"leave them out")
		}
		return c, nil
	}
	var err error
	if c.Address, err = netip.ParsePrefix(raw.Address); err != nil || !c.Address.Addr().Is4() {
		return Config{}, fault("address", "address %q is neither dhcp nor one such as 10.0.0.2/24", raw.Address)
	}
	if raw.Gateway != "" {
		if c.Gateway, err = netip.ParseAddr(raw.Gateway); err != nil || !c.Address.Contains(c.Gateway) {
			return Config{}, fault("gateway", "gateway %q is not an address in %s", raw.Gateway, c.Address.Masked())
		}
	}
	for _, s := range raw.Nameservers {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return Config{}, fault("nameservers", "nameserver %q is not an address", s)
		}
		c.Nameservers = append(c.Nameservers, a)
	}
	return c, nil
}

// decode decodes the TOML of a file, and names the line of a fault.
func decode(r io.Reader, into any) error {
	content, err := io.ReadAll(io.LimitReader(r, mostBytes))
	if err != nil {
		return fmt.Errorf("network: %v", err)
	}
	if text.IsUTF16(content) {
		const what = "the file is UTF-16: save it as UTF-8, in Notepad with \"Save as\", \"Encoding\""
		return Fault{Line: 1, Message: what}
	}
	err = toml.NewDecoder(bytes.NewReader(text.TrimMark(content))).DisallowUnknownFields().Decode(into)
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		key := strings.Join(unknown.Errors[0].Key(), ".")
		return Fault{Line: line, Message: fmt.Sprintf("key %q is not known", key)}
	}
	if fault, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := fault.Position()
		return Fault{Line: line, Message: strings.TrimPrefix(fault.Error(), "toml: ")}
	}
	if err != nil {
		return fmt.Errorf("network: %v", err)
	}
	return nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

// Text returns the network.toml of the configuration.
func (c Config) Text() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %q\n", key, value)
		}
	}
	line("hostname", c.Hostname)
	line("interface", c.Interface)
	if c.DHCP && !c.Address.IsValid() {
		line("address", DHCP)
	} else {
		line("address", c.Address.String())
	}
	if c.Gateway.IsValid() {
		line("gateway", c.Gateway.String())
	}
	if len(c.Nameservers) > 0 {
		fmt.Fprintf(&b, "nameservers = [\"%s\"]\n", strings.ReplaceAll(c.nameservers(), ", ", "\", \""))
	}
	return b.String()
}

func (c Config) nameservers() string {
	var names []string
	for _, a := range c.Nameservers {
		names = append(names, a.String())
	}
	return strings.Join(names, ", ")
}

// Resolver returns the resolv.conf of the configuration.
func (c Config) Resolver() string {
	var b strings.Builder
	for _, a := range c.Nameservers {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.String()
}
