// Package isolate takes a link's interface out of the reach of all other programs: into a
// network namespace of its own (network_namespaces(7)), where only the sockets are that
// its opener made.
//
// Silencing an interface does not stop a program of this machine that wants to use it:
// any user may bind a UDP socket to it and broadcast, or listen for broadcasts from
// 0.0.0.0, which pass the reverse path filter; and what arrives on it reaches every
// listener of the machine. Where the interface is not, none of that can be.
//
// A socket stays in the namespace in which it was made, and keeps it; when the last is
// closed the kernel brings a card back, and removes a virtual interface. Moving one needs
// root. An interface that has an IP address is refused, and left where it is.
package isolate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"heliograph/drivers/netdev"

	"golang.org/x/sys/unix"
)

const (
	netlinkTimeout = time.Second
	macSize        = 6
)

// Interface moves an interface, named as package netdev reads it, into a new network
// namespace, and calls do there with the kernel's name of it.
func Interface(name string, do func(device string) error) error {
	found, err := netdev.Find(name)
	if err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	if err := Unused(found); err != nil { // moving it would take its addresses away
		return fmt.Errorf("isolate: %w", err)
	}
	device := found.Name // sysfs shows no path of it where it goes
	runtime.LockOSThread()
	home, err := namespace()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("isolate: %s: finding this network namespace: %w", device, err)
	}
	defer home.Close()
	err = moveToNew(found, home)
	if err == nil {
		err = do(device)
	}
	if back := enter(home); back != nil { // the thread stays locked and ends with its goroutine
		return errors.Join(err, fmt.Errorf("isolate: %s: coming back from its network namespace: %w", device, back))
	}
	runtime.UnlockOSThread()
	return err
}

// Unused refuses an interface that has an IP address.
func Unused(d netdev.Device) error {
	i, err := net.InterfaceByIndex(d.Index)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	addresses, err := i.Addrs()
	if err != nil {
		return fmt.Errorf("%s: reading its addresses: %w", d.Name, err)
	}
	for _, a := range addresses {
		// The kernel gives an interface its link-local address; turning IPv6 off takes it.
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsLinkLocalUnicast() {
			continue
		}
		return netdev.Coded("interface-address", fmt.Errorf("%s has the address %s and so another use; choose another "+
			"interface, or `ip addr flush dev %s`", d.Name, a, d.Name))
	}
	return nil
}

// HasInterface reports whether the network namespace of a socket has an Ethernet interface: false
// once the one that was moved there was removed. Loopback does not count, nor do the tunnels that
// some kernels make in each namespace, such as sit0, which have no MAC address. It needs root.
func HasInterface(socket *os.File) (has bool, err error) {
	err = Within(socket, func() error {
		all, err := net.Interfaces()
		has = slices.ContainsFunc(all, func(i net.Interface) bool { return len(i.HardwareAddr) == macSize })
		return err
	})
	return has, err
}

// Within calls do in the network namespace of a socket. It needs root.
func Within(socket *os.File, do func() error) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	away := -1
	closed := raw.Control(func(fd uintptr) { away, err = unix.IoctlRetInt(int(fd), unix.SIOCGSKNS) })
	if err = cmp.Or(closed, err); err != nil {
		return fmt.Errorf("isolate: finding the network namespace of a socket: %w", err)
	}
	there := os.NewFile(uintptr(away), "network namespace")
	defer there.Close()
	runtime.LockOSThread()
	home, err := namespace()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := enter(there); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = do()
	if back := enter(home); back != nil { // the thread stays locked and ends with its goroutine
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// namespace is the one that this thread stands in.
func namespace() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }

func enter(namespace *os.File) error { return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET) }

// moveToNew leaves the thread in a new namespace, with the interface in it.
func moveToNew(found netdev.Device, home *os.File) error {
	iface := found.Name
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("isolate: %s: making a network namespace: %w (run as root)", iface, err)
	}
	away, err := namespace()
	if err != nil {
		return fmt.Errorf("isolate: %s: finding its network namespace: %w", iface, err)
	}
	defer away.Close()
	for _, step := range []func() error{
		func() error { return enter(home) },
		func() error { return moveInterface(found.Index, away) },
		func() error { return enter(away) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("isolate: %s: moving it to a network namespace: %w", iface, err)
		}
	}
	return nil
}

// moveInterface asks the kernel to move an interface (rtnetlink(7)):
//
//	nlmsghdr 16 | ifinfomsg 16 | rtattr 4 | descriptor of the namespace 4
func moveInterface(index int, namespace *os.File) error {
	const size = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg + unix.SizeofRtAttr + 4
	request := make([]byte, size)
	order := binary.NativeEndian
	order.PutUint32(request[0:], size)
	order.PutUint16(request[4:], unix.RTM_NEWLINK)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	order.PutUint32(request[20:], uint32(index))
	order.PutUint16(request[32:], unix.SizeofRtAttr+4)
	order.PutUint16(request[34:], unix.IFLA_NET_NS_FD)
	order.PutUint32(request[36:], uint32(namespace.Fd()))

	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	wait := unix.NsecToTimeval(netlinkTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return err
	}
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	return acknowledged(answer[:n])
}

// acknowledged finds the error in an answer, which is 0 when all is well.
func acknowledged(answer []byte) error {
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
			continue
		}
		if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
			return syscall.Errno(-code)
		}
		return nil
	}
	return errors.New("the kernel did not answer")
}
