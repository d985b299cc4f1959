// Package neighbour keeps one machine in the kernel's neighbour table (arp(7)), so that
// IP reaches it over a link on which its answer to ARP cannot come back.
//
// IPv4 asks for the hardware address of a neighbour by ARP (RFC 826), IPv6 by neighbour
// solicitation (RFC 4861, 7.2), and sends nothing until the answer is there. Over a data
// diode it never is. A permanent entry (NUD_PERMANENT) is what `ip neigh replace` makes:
//
//	10.0.0.3 dev eth1 lladdr 02:00:5e:10:00:02 PERMANENT
//
// The kernel drops it when the interface goes down, so it is looked at again and again,
// and renewed; an entry that is there already, made by whom it may be, is left alone.
// Writing needs CAP_NET_ADMIN, reading nothing: without the privilege the error has the
// command to run.
//
// The package refuses an address that is reached over a gateway, which is another
// neighbour, or that is this machine's own.
package neighbour

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Our own choices.
const (
	interval = 250 * time.Millisecond // between two looks
	timeout  = time.Second            // of the kernel's answer
)

// Entry is one machine. It is safe for concurrent use, but for Keep, which runs once.
type Entry struct {
	ip     netip.Addr
	mac    net.HardwareAddr
	log    *slog.Logger
	kernel *netlink.Handle

	mu  sync.Mutex
	err error // why the entry is not there
}

// New makes the entry of the host in an address, host:port, if it may. Whether it is
// there, says Err. The entry belongs to the network namespace of the calling thread.
func New(address, mac string, log *slog.Logger) (*Entry, error) {
	host, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("neighbour: %s is not an address in numbers: %w", address, err)
	}
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return nil, fmt.Errorf("neighbour: %w", err)
	}
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("neighbour: asking the kernel: %w", err)
	}
	if err := kernel.SetSocketTimeout(timeout); err != nil {
		kernel.Close()
		return nil, fmt.Errorf("neighbour: asking the kernel: %w", err)
	}
	e := &Entry{ip: host.Addr().Unmap(), mac: hardware, log: log, kernel: kernel, err: errors.New("not looked at")}
	e.look()
	return e, nil
}

// Keep renews the entry until ctx ends, and logs what changes. The entry stays then.
func (e *Entry) Keep(ctx context.Context) {
	defer e.kernel.Close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.look()
		}
	}
}

// Err returns why the entry is not there, or nil.
func (e *Entry) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// look makes sure of the entry.
func (e *Entry) look() {
	device, set, err := e.ensure()
	e.mu.Lock()
	before := e.err
	e.err = err
	e.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		e.log.Warn("peer is not in the neighbour table; nothing reaches it", "error", err, "retry", interval.String())
	case err == nil && (before != nil || set):
		e.log.Info("peer is in the neighbour table", "interface", device, "address", e.ip.String(),
			"mac", e.mac.String(), "set", set)
	}
}

// ensure sets the entry if it is not there. set says that it has.
func (e *Entry) ensure() (device string, set bool, err error) {
	device, index, err := e.outgoing()
	if err != nil {
		return device, false, fmt.Errorf("neighbour: %w", err)
	}
	there, err := e.there(index)
	if err != nil || there {
		return device, false, err
	}
	err = e.kernel.NeighSet(&netlink.Neigh{LinkIndex: index, Family: e.family(), State: netlink.NUD_PERMANENT,
		IP: e.ip.AsSlice(), HardwareAddr: e.mac})
	if errors.Is(err, unix.EPERM) {
		return device, false, fmt.Errorf("neighbour: %s cannot be set without CAP_NET_ADMIN; run as root: ip neigh "+
			"replace %s lladdr %s nud permanent dev %s", e.ip, e.ip.WithZone(""), e.mac, device)
	} else if err != nil {
		return device, false, fmt.Errorf("neighbour: setting %s on %s: %w", e.ip, device, err)
	}
	if there, err = e.there(index); err == nil && !there {
		err = fmt.Errorf("neighbour: %s was set on %s, but is not there", e.ip, device)
	}
	return device, true, err
}

// outgoing returns the interface over which the address is reached directly.
func (e *Entry) outgoing() (device string, index int, err error) {
	if zone := e.ip.Zone(); zone != "" { // a link-local address names its interface
		link, err := e.kernel.LinkByName(zone)
		if err != nil {
			return zone, 0, fmt.Errorf("%s: %w", e.ip, err)
		}
		return zone, link.Attrs().Index, nil
	}
	routes, err := e.kernel.RouteGet(e.ip.AsSlice())
	if err != nil || len(routes) == 0 {
		return "", 0, fmt.Errorf("no route to %s: bring its interface up and give it an address (%v)", e.ip, err)
	}
	r := routes[0]
	if r.Gw != nil || r.Via != nil {
		return "", 0, fmt.Errorf("%s is reached over the gateway %s: peer_mac needs an interface with an address on "+
			"the same network", e.ip, r.Gw)
	}
	link, err := e.kernel.LinkByIndex(r.LinkIndex)
	if err != nil {
		return "", 0, fmt.Errorf("interface %d to %s: %w", r.LinkIndex, e.ip, err)
	}
	if r.Type != unix.RTN_UNICAST {
		return "", 0, fmt.Errorf("%s is not the address of another machine on %s", e.ip, link.Attrs().Name)
	}
	return link.Attrs().Name, r.LinkIndex, nil
}

// there says whether the entry is as wanted.
func (e *Entry) there(index int) (bool, error) {
	all, err := e.kernel.NeighList(index, e.family())
	if err != nil {
		return false, fmt.Errorf("neighbour: reading the table: %w", err)
	}
	for _, n := range all {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == e.ip.WithZone("") {
			return n.State == netlink.NUD_PERMANENT && bytes.Equal(n.HardwareAddr, e.mac), nil
		}
	}
	return false, nil
}

func (e *Entry) family() int {
	if e.ip.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}
