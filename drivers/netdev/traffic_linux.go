package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Places in struct rtnl_link_stats64 (linux/if_link.h).
const (
	statsReceived = 0 * 8
	statsSent     = 1 * 8
	statsErrors   = 4 * 8
	statsSize     = 5 * 8 // as far as it is read
)

var errNoStatistics = errors.New("netdev: the kernel has no statistics of the interface")

// Traffic is how many packets an interface has received, damaged ones included, and sent
// since it was made. The kernel counts them before anything drops what was received.
type Traffic struct{ Received, Sent uint64 }

// TrafficOf asks the kernel over rtnetlink(7): sysfs shows the namespace in which it was
// mounted, and may not be mounted.
func TrafficOf(index int) (t Traffic, err error) {
	answer, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return t, fmt.Errorf("netdev: reading the interfaces: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return t, fmt.Errorf("netdev: reading the interfaces: %w", err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg ||
			int(int32(binary.NativeEndian.Uint32(m.Data[4:]))) != index { // struct ifinfomsg
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return t, fmt.Errorf("netdev: reading interface %d: %w", index, err)
		}
		for _, a := range attributes {
			if a.Attr.Type == unix.IFLA_STATS64 && len(a.Value) >= statsSize {
				at := func(place int) uint64 { return binary.NativeEndian.Uint64(a.Value[place:]) }
				return Traffic{Received: at(statsReceived) + at(statsErrors), Sent: at(statsSent)}, nil
			}
		}
	}
	return t, errNoStatistics
}

// Towards returns the interface by which this machine sends to an address (host:port). Nothing
// is sent; ok is false where there is none, and where it is the machine's own loopback.
func Towards(address string) (index int, ok bool) {
	c, err := net.Dial("udp", address)
	if err != nil {
		return 0, false
	}
	defer c.Close()
	local, _ := c.LocalAddr().(*net.UDPAddr)
	all, err := net.Interfaces()
	if err != nil || local == nil {
		return 0, false
	}
	for _, i := range all {
		own, _ := i.Addrs() // without any it is not this one
		for _, a := range own {
			if n, is := a.(*net.IPNet); is && n.IP.Equal(local.IP) {
				return i.Index, i.Flags&net.FlagLoopback == 0
			}
		}
	}
	return 0, false
}
