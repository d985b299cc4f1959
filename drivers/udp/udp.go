// Package udp carries frames in UDP datagrams on Linux, one way: the medium of
// a bought diode that passes IP alone, of the lab and of tests. Where no answer
// to ARP comes back, package neighbour makes the receiver known.
//
//	MAC header 14 | IPv4 20 (IPv6 40) | UDP 8 | frame ≤ 1472 (1452) | FCS 4
//
// A Transmitter has no way to receive, a Receiver none to send, and the kernel
// enforces it: a transmitter's socket carries a locked filter that drops all,
// a receiver's is shut down for writing.
//
// Nothing that a receiver does changes what a transmitter does. Its socket
// is not connected, so ICMP errors never reach it. Datagrams carry DF and the
// interface's own MTU counts (IP_PMTUDISC_PROBE): a forged "fragmentation
// needed" (RFC 1191) would otherwise stop every full frame. The name is
// resolved once.
//
// Runs of frames of one size leave as one segmented datagram (UDP_SEGMENT) and
// arrive as one (UDP_GRO). Where the kernel or the card refuses the former, each
// frame leaves on its own, still many per system call. On the wire both look
// the same.
package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What RFC 768, 791, 8200 and IEEE 802.3 put around a frame at an MTU of 1500.
const (
	MaxFrame     = 1472 // bytes in a datagram over IPv4
	MaxFrameIPv6 = 1452

	// Overhead is what a frame costs on the wire beyond its own bytes: UDP 8,
	// IPv4 20, MAC header 14, FCS 4, preamble and gap 20.
	Overhead     = 66
	OverheadIPv6 = 86
)

// endpoint is a resolved address and what follows from its family.
type endpoint struct {
	name    string // as the operator wrote it
	number  string // what it was resolved to
	domain  int
	address unix.Sockaddr
	v4      unix.RawSockaddrInet4
	v6      unix.RawSockaddrInet6
}

func resolve(address string) (*endpoint, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("udp: %s: use host:port, such as 10.0.0.2:17000: %w", address, err)
	}
	e := &endpoint{name: address, number: a.String()}
	port := uint16(a.Port)
	ip, ok := netip.AddrFromSlice(a.IP)
	if ip = ip.Unmap(); !ok || ip.Is4() {
		if !ok {
			ip = netip.IPv4Unspecified()
		}
		e.domain, e.address = unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: ip.As4()}
		e.v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bigEndian(port), Addr: ip.As4()}
		return e, nil
	}
	zone, err := zoneIndex(a.Zone)
	if err != nil {
		return nil, fmt.Errorf("udp: %s: %w", address, err)
	}
	e.domain, e.address = unix.AF_INET6, &unix.SockaddrInet6{Port: a.Port, Addr: ip.As16(), ZoneId: zone}
	e.v6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: bigEndian(port), Addr: ip.As16(), Scope_id: zone}
	return e, nil
}

func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}

// bigEndian returns the number whose bytes in memory are v in network order.
func bigEndian(v uint16) (stored uint16) {
	b := (*[2]byte)(unsafe.Pointer(&stored))
	b[0], b[1] = byte(v>>8), byte(v)
	return stored
}

// raw returns the address in the form a message header needs.
func (e *endpoint) raw() (*byte, uint32) {
	if e.domain == unix.AF_INET6 {
		return (*byte)(unsafe.Pointer(&e.v6)), unix.SizeofSockaddrInet6
	}
	return (*byte)(unsafe.Pointer(&e.v4)), unix.SizeofSockaddrInet4
}

func (e *endpoint) maxFrame() int {
	if e.domain == unix.AF_INET6 {
		return MaxFrameIPv6
	}
	return MaxFrame
}

func (e *endpoint) overhead() int {
	if e.domain == unix.AF_INET6 {
		return OverheadIPv6
	}
	return Overhead
}

// socket opens a socket and lets set prepare it.
func (e *endpoint) socket(set func(fd int) error) (int, error) {
	fd, err := unix.Socket(e.domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, fmt.Errorf("udp: opening a socket: %w", err)
	}
	if err := set(fd); err != nil {
		_ = unix.Close(fd)
		hint := ""
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			hint = " (another program has this port; stop it or choose another)"
		case errors.Is(err, unix.EADDRNOTAVAIL):
			hint = " (this machine does not have the address; name one that \"ip address\" shows, or 0.0.0.0)"
		}
		return -1, fmt.Errorf("udp: %s: %w%s", e.name, err, hint)
	}
	return fd, nil
}
