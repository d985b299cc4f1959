// Package ethernettest makes a network of its own for a test: a namespace, a
// virtual cable, and a tap at one end that sees all and can send anything. It
// refuses to be linked into a role: it needs a testing.TB, and root.
package ethernettest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Namespace moves the calling goroutine, and what it opens and starts from now
// on, into an empty network namespace; other goroutines of the test stay
// outside. Without the privilege it skips, naming what is not proved.
func Namespace(t testing.TB, what string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skipf("not proved: %s, because ip (iproute2) is not installed", what)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skipf("not proved: %s, because a network namespace needs root", what)
	} else if err != nil {
		t.Fatal(err)
	}
}

// Cable joins two new interfaces. Near is down, as the kernel makes it; far is
// up and says nothing of its own.
func Cable(t testing.TB, near, far string) {
	t.Helper()
	IP(t, "link", "add", near, "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", far, "address",
		"02:00:00:00:00:02")
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+far+"/disable_ipv6", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	IP(t, "link", "set", far, "arp", "off", "multicast", "off", "up")
}

// Tun makes an interface whose driver keeps what ethtool(8) sets; its other end is a file.
func Tun(t testing.TB, name string) {
	t.Helper()
	IP(t, "tuntap", "add", "dev", name, "mode", "tap")
}

// NoOffload makes the kernel compute the checksums of what leaves an interface, which a
// virtual cable leaves open: a tap at its end then sees packets as on a wire.
func NoOffload(t testing.TB, iface string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	off := [2]uint32{unix.ETHTOOL_STXCSUM, 0} // struct ethtool_value
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&off)}
	copy(request.name[:unix.IFNAMSIZ-1], iface)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&request))); errno != 0 {
		t.Fatal(errno)
	}
}

// IP runs ip(8) in the namespace and returns its output.
func IP(t testing.TB, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("ip", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// Sent is the kernel's count of packets that left through an interface.
func Sent(t testing.TB, iface string) uint64 {
	t.Helper()
	const column = 9 // of /proc/net/dev after the name: packets transmitted
	b, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, rest, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != iface {
			continue
		}
		n, err := strconv.ParseUint(strings.Fields(rest)[column], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("no interface %s in %s", iface, b)
	return 0
}

// Tap sees what arrives at an interface, and sends what the test asks for.
type Tap struct{ fd int }

// OpenTap opens one.
func OpenTap(t testing.TB, iface string) *Tap {
	t.Helper()
	index, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(IP(t, "-o", "link", "show", iface), ":", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		t.Fatal(err)
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // network order on a little-endian machine
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		t.Fatal(err)
	}
	return &Tap{fd}
}

// Next returns what arrives within timeout, or nil.
func (p *Tap) Next(t testing.TB, timeout time.Duration) []byte {
	t.Helper()
	limit := unix.NsecToTimeval(max(timeout, time.Microsecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(p.fd, b, 0)
		switch err {
		case nil:
			return b[:n]
		case unix.EINTR:
		case unix.EAGAIN:
			return nil
		default:
			t.Fatal(err)
		}
	}
}

// Send sends a whole packet, from its destination address on.
func (p *Tap) Send(t testing.TB, packet []byte) {
	t.Helper()
	if _, err := unix.Write(p.fd, packet); err != nil {
		t.Fatal(err)
	}
}
