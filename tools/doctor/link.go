package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"heliograph/drivers/isolate"
	"heliograph/drivers/netdev"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/diagnosis"
)

// examineLink looks at what carries the link, and opens none of it.
func (x *examination) examineLink(context.Context) {
	switch x.link.Medium {
	case config.Ethernet:
		x.interfaces()
	case config.UART:
		x.serial()
	case config.UDP:
		x.datagrams()
	}
}

func (x *examination) fault(code, cause, cure string) { x.add(code, "link", cause, cure) }

// ofABoard is for a file that is not of this machine.
const ofABoard = "; if the file is a board's, ask that board: key f of its console"

// interfaces looks at the interface of an Ethernet link.
func (x *examination) interfaces() {
	d, err := netdev.Find(x.link.Interface)
	if err != nil {
		x.fault("interface-missing", err.Error(), "plug the adapter in, or set interface in [link] of "+x.File+" to "+
			"one that `ip link` shows"+ofABoard)
		return
	}
	if err := isolate.Unused(d); err != nil {
		x.fault("interface-address", err.Error(), "ip addr flush dev "+d.Name+"; and have the system's network "+
			"configuration leave it alone (NetworkManager: nmcli device set "+d.Name+" managed no)")
		return
	}
	i, err := net.InterfaceByIndex(d.Index)
	if err != nil {
		x.unchecked("link: " + err.Error())
		return
	}
	carrier, _ := os.ReadFile(filepath.Join("/sys/class/net", d.Name, "carrier"))
	switch up := i.Flags&net.FlagUp != 0; {
	case !up && x.result.Running:
		x.fault("interface-down", d.Name+" is down, and helio"+x.Role+" runs", "ip link set "+d.Name+" up, and find "+
			"what took it down")
	case !up:
		x.unchecked("link: " + d.Name + " is down; helio" + x.Role + " brings it up, and its carrier shows then")
	case strings.TrimSpace(string(carrier)) == "0":
		x.fault("no-carrier", d.Name+" has no carrier: no light, or no other end", "check the fibre: TX of the "+
			"transmitter to RX of the receiver; a TX-only transmitter may need speed in [link], and media that send "+
			"without an answer")
	default:
		x.fine("link: " + d.Name + " has a carrier, and no address")
	}
}

// serial looks at the port of a UART link.
func (x *examination) serial() {
	device := x.link.Device
	info, err := os.Stat(device)
	switch {
	case err != nil:
		x.fault("device-missing", err.Error(), "plug the adapter in, or set device in [link] of "+x.File+" to one of "+
			"/dev/serial/by-id"+ofABoard)
		return
	case info.Mode()&fs.ModeCharDevice == 0:
		x.fault("device-missing", device+" is not a serial port", "set device in [link] of "+x.File)
		return
	}
	if err := accessible(device, x.Role == "tx"); err != nil {
		x.fault("file-permissions", fmt.Sprintf("%s: %v", device, err), "usermod -a -G dialout USER, the user that "+
			"runs helio"+x.Role+", and start it again")
		return
	}
	line, _ := os.ReadFile("/proc/cmdline")
	for _, word := range strings.Fields(string(line)) {
		name, found := strings.CutPrefix(word, "console=")
		if name, _, _ = strings.Cut(name, ","); found && "/dev/"+name == device {
			x.fault("console-on-link", "the kernel's console writes to "+device, "remove "+word+" from the kernel's "+
				"command line, and disable serial-getty@"+name)
			return
		}
	}
	x.fine(fmt.Sprintf("link: %s at %d baud may be used", device, x.link.Baud))
}

// datagrams looks at the address of a UDP link.
func (x *examination) datagrams() {
	if x.Role == "rx" {
		x.listener("link", "udp", x.link.Address)
		return
	}
	c, err := net.Dial("udp", x.link.Address) // sends nothing
	if err != nil {
		x.fault("address", err.Error(), "set address in [link] of "+x.File+" to the receiver's, and give this "+
			"machine a route to it: ip route")
		return
	}
	_ = c.Close() // nothing was sent
	x.fine("link: there is a route to " + x.link.Address + "; whether frames arrive shows at the receiver alone")
}

// ports looks whether the role can listen where its configuration says.
func (x *examination) ports(context.Context) {
	if x.result.Running {
		return // it holds them; what it does not get it says itself
	}
	x.listener("[status] listen", "tcp", x.status.Listen)
	for _, s := range x.TX.Syslog {
		for _, url := range s.Listen {
			x.listenURL(s.Channel, url)
		}
	}
	for _, s := range x.RX.OPCUA {
		x.listenURL(s.Channel, s.Listen)
	}
	for _, s := range x.RX.MQTT {
		x.listenURL(s.Channel, s.Listen)
	}
}

func (x *examination) listenURL(channel, url string) {
	scheme, address, _ := strings.Cut(url, "://")
	network := "tcp"
	if scheme == "udp" {
		network = "udp"
	}
	x.listener("channel "+channel, network, address)
}

// listener finds out whether a port is free, without taking a connection.
func (x *examination) listener(where, network, address string) {
	if address == "" || where == "link" && x.result.Running {
		return
	}
	err := bindable(network, address)
	f := diagnosis.Finding{Where: where, Cause: fmt.Sprintf("%s %s: %v", network, address, err)}
	_, port, _ := net.SplitHostPort(address)
	switch {
	case err == nil:
		x.fine(where + ": " + network + " " + address + " is free")
		return
	case errors.Is(err, errInUse):
		f.Code, f.Cure = "port-in-use", "`ss -lnp` names the program at port "+port+": end it, or choose another "+
			"port in "+x.File
	case errors.Is(err, fs.ErrPermission):
		f.Code, f.Cure = "port-permission", "choose a port above 1023 in "+x.File+", or give the program the right: "+
			"setcap cap_net_bind_service+ep helio"+x.Role
	default:
		f.Code, f.Cure = "address", "choose an address that `ip address` shows, or 0.0.0.0, in "+x.File
	}
	x.found(f)
}
