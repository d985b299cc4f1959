package ethernet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// usedBy names an interface that sends through the one with this index: the
// bridge or bond it is a port of, or a VLAN or the like on top of it.
func usedBy(index int) (string, error) {
	answer, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return "", err
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return "", err
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		l, err := parseLink(m)
		if err != nil {
			return "", err
		}
		switch {
		case l.index == index && l.master != 0:
			if i, err := net.InterfaceByIndex(l.master); err == nil {
				return i.Name, nil
			}
			return fmt.Sprintf("interface %d", l.master), nil
		// A veth's peer names it too, but does not use it; its kind shows that.
		case l.index != index && l.lower == index && l.kind != "veth":
			return l.name, nil
		}
	}
	return "", nil
}

type link struct {
	index, master, lower int
	name, kind           string
}

func parseLink(m *syscall.NetlinkMessage) (l link, err error) {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return link{}, err
	}
	l.index = int(int32(binary.NativeEndian.Uint32(m.Data[4:]))) // struct ifinfomsg
	elsewhere := false
	for _, a := range attributes {
		switch v := a.Value; {
		case a.Attr.Type == unix.IFLA_MASTER && len(v) >= 4:
			l.master = int(binary.NativeEndian.Uint32(v))
		case a.Attr.Type == unix.IFLA_LINK && len(v) >= 4:
			l.lower = int(binary.NativeEndian.Uint32(v))
		case a.Attr.Type == unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case a.Attr.Type == unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(v)
		case a.Attr.Type == unix.IFLA_LINKINFO:
			l.kind = kind(v)
		}
	}
	if elsewhere { // its index means an interface of another namespace
		l.lower = 0
	}
	return l, nil
}

// kind finds IFLA_INFO_KIND in the attributes inside IFLA_LINKINFO.
func kind(b []byte) string {
	for len(b) >= unix.SizeofRtAttr {
		n, t := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if n < unix.SizeofRtAttr || n > len(b) {
			return ""
		}
		if t == unix.IFLA_INFO_KIND {
			return unix.ByteSliceToString(b[unix.SizeofRtAttr:n])
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return ""
}

// socket opens a packet socket that receives nothing until it is bound to protocol.
func socket(index int, protocol uint16, set func(fd int) error) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		hint := ""
		if errors.Is(err, unix.EPERM) {
			hint = " (run as root, or with CAP_NET_RAW)"
		}
		return -1, fmt.Errorf("opening a packet socket: %w%s", err, hint)
	}
	if err = set(fd); err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(protocol), Ifindex: index})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bigEndian returns the number whose bytes in memory are v in network order.
func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
