// Package netdev says which network interface a configuration means.
//
//	eth1                      the kernel's name
//	mac:02:00:5e:10:00:01     the one with this address
//	path:platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0
//	                          the one on this port, as udev's ID_PATH names it
//
// The kernel numbers eth0, eth1, … in the order in which it finds them, which two USB
// adapters, or one on USB and one on PCIe, may change from start to start. An address
// stays with its adapter, a path with its socket on the board.
//
// A path is built from the devices of sysfs, from the interface upwards, as udev does
// (systemd, udev-builtin-path_id.c): platform-NAME, pci-NAME, usb-0:PORT:INTERFACE; of
// devices in a row on one bus the lowest alone is named. A virtual interface has no path.
//
// The package refuses to guess: a name that fits no interface, or two of the hardware,
// is an error that lists those that there are.
package netdev

import (
	"bytes"
	"fmt"
	"net"
	"strings"
)

// The prefixes.
const (
	macPrefix  = "mac:"
	pathPrefix = "path:"
)

const (
	mostName = 15 // characters: IFNAMSIZ of Linux without its end
	mostPath = 255
	macSize  = 6
)

// Name is what a configuration calls an interface. The zero value names none.
type Name struct {
	text string
	mac  net.HardwareAddr // of mac:
	path string           // of path:
}

// Parse reads a name, on any system; whether there is such an interface is not asked.
func Parse(s string) (Name, error) {
	if text, ok := strings.CutPrefix(s, macPrefix); ok {
		mac, err := ParseMAC(text)
		return Name{text: s, mac: mac}, err
	}
	if path, ok := strings.CutPrefix(s, pathPrefix); ok {
		if path == "" || len(path) > mostPath || strings.ContainsFunc(path, notInPath) {
			return Name{}, fmt.Errorf("%q is not a path such as \"path:platform-fd580000.ethernet\"", s)
		}
		return Name{text: s, path: path}, nil
	}
	if s == "" || s == "." || s == ".." || s == "lo" || len(s) > mostName || strings.ContainsFunc(s, notInName) {
		return Name{}, fmt.Errorf("%q is not the name of a network interface: write \"eth1\", \"mac:ADDRESS\" or "+
			"\"path:PATH\"", s)
	}
	return Name{text: s}, nil
}

// ParseMAC reads the address of one Ethernet interface: six bytes, not a group's
// (IEEE 802-2014, 8.2.2), and not all 0.
func ParseMAC(s string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != macSize {
		return nil, fmt.Errorf("%q is not a MAC address such as \"02:00:5e:10:00:01\"", s)
	}
	if mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, macSize)) {
		return nil, fmt.Errorf("%q is not the MAC address of one interface: its first byte is even, and not "+
			"all are 0", s)
	}
	return mac, nil
}

// String returns the name as it was written.
func (n Name) String() string { return n.text }

func notInName(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == ':' }

func notInPath(r rune) bool { return r <= ' ' || r > '~' || r == '/' }

// Device is one interface of this machine.
type Device struct {
	Name   string // the kernel's, at present
	Index  int
	MAC    net.HardwareAddr
	Path   string // "" where it has none
	Driver string // "" for a virtual one
}

// String returns the device with the names by which a configuration may call it.
func (d Device) String() string {
	parts := []string{macPrefix + d.MAC.String()}
	if d.Path != "" {
		parts = append(parts, pathPrefix+d.Path)
	}
	if d.Driver != "" {
		parts = append(parts, "driver "+d.Driver)
	}
	return d.Name + " (" + strings.Join(parts, ", ") + ")"
}

// choose returns the device with this name. Of several with one address, hardware comes
// before what stands on it: a VLAN, a bond and a bridge have the address of a port.
func choose(n Name, all []Device) (Device, error) {
	var fit, hardware []Device
	for _, d := range all {
		if !n.fits(d) {
			continue
		}
		fit = append(fit, d)
		if d.Driver != "" {
			hardware = append(hardware, d)
		}
	}
	if len(hardware) == 1 {
		fit = hardware
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	what := "no interface is %q; there are: %s"
	if len(fit) > 1 {
		what = "more than one interface is %q; there are: %s"
	}
	return Device{}, Coded("interface-missing", fmt.Errorf(what, n.text, list(all)))
}

// coded is an error with a code for programs.
type coded struct {
	error
	code string
}

// CauseCode is the code.
func (c coded) CauseCode() string { return c.code }

// Coded returns an error with a method CauseCode, which says for programs what its text says
// for people.
func Coded(code string, err error) error { return coded{err, code} }

func (n Name) fits(d Device) bool {
	switch {
	case n.mac != nil:
		return bytes.Equal(n.mac, d.MAC)
	case n.path != "":
		return n.path == d.Path
	}
	return n.text == d.Name
}

func list(all []Device) string {
	if len(all) == 0 {
		return "none"
	}
	words := make([]string, len(all))
	for i, d := range all {
		words[i] = d.String()
	}
	return strings.Join(words, "; ")
}
