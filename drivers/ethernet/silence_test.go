package ethernet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

const (
	bound = await.Bound
	watch = 1500 * time.Millisecond // longer than the kernel waits before DAD, MLD reports and router solicitations
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// sends waits until an end of a cable whose other end is up, too, sends: until then the
// kernel drops what a tap sends there.
func sends(t testing.TB, iface string) {
	t.Helper()
	await.True(t, iface+" is up", func() bool {
		return strings.Contains(ethernettest.IP(t, "link", "show", iface), " state UP ")
	})
}

func receiver(t testing.TB, iface string) *Receiver {
	t.Helper()
	r, err := OpenReceiver(Port{Interface: iface}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func transmitter(t testing.TB, iface string) *Transmitter {
	t.Helper()
	x, err := OpenTransmitter(Port{Interface: iface}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// provocations make an ordinary interface answer, or a listener respond.
func provocations(t testing.TB) map[string][]byte {
	t.Helper()
	decode := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string][]byte{
		"ARP request for 10.9.9.9": decode("ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 " +
			"0a090901 000000000000 0a090909"),
		"neighbour solicitation": decode("3333ff000001 020000000002 86dd 60000000 0020 3a ff " +
			"fe80000000000000000000fffe000002 ff0200000000000000000001ff000001" +
			"8700 0000 00000000 fe80000000000000000000fffe000001 0101 020000000002"),
		"UDP to 10.9.9.9:9": decode("020000000001 020000000002 0800 4500 001d 0000 4000 40 11 14b5 0a090901 " +
			"0a090909 03e8 0009 0009 0000 41"),
	}
}

// listen opens a socket in the namespace of the calling goroutine that the
// provocations want to reach.
func listen(t testing.TB) int {
	t.Helper()
	ethernettest.IP(t, "link", "set", "lo", "up")
	ethernettest.IP(t, "addr", "add", "10.9.9.9/32", "dev", "lo")
	ethernettest.IP(t, "route", "add", "10.9.9.0/24", "dev", "lo")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 9}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// found brings the near end into the state in which it is found.
func found(t *testing.T, up bool, tap *ethernettest.Tap) {
	t.Helper()
	if !up {
		return
	}
	ethernettest.IP(t, "link", "set", "near0", "up")
	if tap.Next(t, bound) == nil {
		t.Fatal("an ordinary interface said nothing when it came up: this test could not see one that transmits")
	}
	// Once its address is settled it has groups to leave, aloud.
	for end := time.Now().Add(bound); strings.Contains(ethernettest.IP(t, "-6", "addr", "show", "near0"),
		"tentative"); {
		if time.Now().After(end) {
			t.Fatal("the interface's own address stays tentative")
		}
		tap.Next(t, 20*time.Millisecond)
	}
	for tap.Next(t, 1500*time.Millisecond) != nil { // it says so again within a second
	}
}

func TestReceiverSendsNothing(t *testing.T) {
	for name, up := range map[string]bool{"found down": false, "found up and talking": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ethernettest.Namespace(t, "that a receiver's interface sends nothing")
			ethernettest.Cable(t, "near0", "far0")
			ip := listen(t)
			tap := ethernettest.OpenTap(t, "far0")
			found(t, up, tap)
			before := ethernettest.Sent(t, "near0")
			r := receiver(t, "near0")
			for tap.Next(t, 0) != nil { // what left before
			}
			for range 20 {
				for _, p := range provocations(t) {
					tap.Send(t, p)
				}
			}
			var got [][]byte
			keep := func(f []byte) { got = append(got, bytes.Clone(f)) }
			for end := time.Now().Add(bound); len(got) == 0 && time.Now().Before(end); {
				tap.Send(t, packet([]byte("last"))) // again: the kernel may drop one
				if err := r.Receive(100*time.Millisecond, keep); err != nil {
					t.Fatal(err)
				}
			}
			if len(got) == 0 || slices.ContainsFunc(got, func(f []byte) bool { return string(f) != "last" }) {
				t.Errorf("received %q, want %q alone", got, "last")
			}
			if p := tap.Next(t, watch); p != nil {
				t.Errorf("the far end saw %x, want nothing", p)
			}
			if sent := ethernettest.Sent(t, "near0") - before; sent != 0 {
				t.Errorf("the interface sent %d packets, want 0", sent)
			}
			if _, _, err := unix.Recvfrom(ip, make([]byte, 100), 0); err != unix.EAGAIN {
				t.Errorf("an IPv4 socket received from the link (%v), want EAGAIN: nothing there", err)
			}
			silent(t, "near0")
		})
	}
}

func silent(t *testing.T, name string) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := i.Addrs()
	if err != nil || len(addresses) != 0 {
		t.Errorf("addresses %v, %v; want none", addresses, err)
	}
	if flags := ethernettest.IP(t, "-o", "link", "show", name); !strings.Contains(flags, "NOARP") ||
		strings.Contains(flags, "MULTICAST") || !strings.Contains(flags, ",UP") {
		t.Errorf("got %s, want NOARP, UP and no MULTICAST", flags)
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"); err != nil || string(b) != "1\n" {
		t.Errorf("disable_ipv6 = %q, %v; want 1", b, err)
	}
}

func TestTransmitterSendsItsFramesAndNothingElse(t *testing.T) {
	for name, up := range map[string]bool{"found down": false, "found up and talking": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ethernettest.Namespace(t, "that a transmitter's interface sends its frames and nothing else")
			ethernettest.Cable(t, "near0", "far0")
			listen(t)
			tap := ethernettest.OpenTap(t, "far0")
			found(t, up, tap)
			before := ethernettest.Sent(t, "near0")
			x := transmitter(t, "near0")
			for tap.Next(t, 0) != nil { // what left before
			}
			for _, p := range provocations(t) {
				tap.Send(t, p)
			}
			var frames [][]byte
			for i := range 200 {
				frames = append(frames, bytes.Repeat([]byte{byte(i)}, []int{0, 1, 45, 46, 1400, MaxFrame}[i%6]))
			}
			if n, err := x.Transmit(frames); n != len(frames) || err != nil {
				t.Fatalf("Transmit = %d, %v; want %d, nil", n, err, len(frames))
			}
			for i, f := range frames {
				if got, want := tap.Next(t, bound), packet(f); !bytes.Equal(got, want) {
					t.Fatalf("packet %d: got %d bytes %.40x…, want %d bytes %.40x…", i, len(got), got, len(want), want)
				}
			}
			if p := tap.Next(t, watch); p != nil {
				t.Errorf("the far end saw %x besides, want nothing", p)
			}
			if sent := ethernettest.Sent(t, "near0") - before; sent != uint64(len(frames)) {
				t.Errorf("the interface sent %d packets, want %d", sent, len(frames))
			}
			silent(t, "near0")
		})
	}
}

func TestTransmitterReceivesNothing(t *testing.T) {
	ethernettest.Namespace(t, "that a transmitter receives nothing")
	ethernettest.Cable(t, "near0", "far0")
	x := transmitter(t, "near0")
	tap := ethernettest.OpenTap(t, "far0")
	for i := range 5000 {
		b := packet([]byte("flood"))
		if i%2 == 0 {
			copy(b, source)
		}
		tap.Send(t, b)
	}
	err := x.socket.Control(func(fd int) {
		if a, err := unix.Getsockname(fd); err != nil || a.(*unix.SockaddrLinklayer).Protocol != 0 {
			t.Errorf("bound to %+v, %v; want protocol 0, which receives nothing", a, err)
		}
		if m, err := mmsg.ReadMemInfo(fd); err != nil || m.Queued != 0 || m.Drops != 0 {
			t.Errorf("held %d bytes, %d drops, %v; want none: nothing reaches the socket", m.Queued, m.Drops, err)
		}
		if _, _, err := unix.Recvfrom(fd, make([]byte, 2000), unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("recvfrom = %v, want EAGAIN: nothing there", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("taking the filter off = %v, want EPERM: it is locked", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInterfaceWithAnotherUseIsRefusedAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		iface string
		setup []string
		want  string
	}{
		"missing":  {"nosuch0", nil, "no interface is \"nosuch0\"; there are: "},
		"loopback": {"lo", nil, "is not the name of a network interface"},
		"IPv4":     {"near0", []string{"addr add 10.0.0.1/24 dev near0"}, "has the address 10.0.0.1/24"},
		"IPv6":     {"near0", []string{"addr add 2001:db8::1/64 dev near0"}, "has the address 2001:db8::1/64"},
		"bridge port": {"near0", []string{"link add bridge0 type bridge", "link set near0 master bridge0"},
			"part of bridge0"},
		"interface on top": {"near0", []string{"link add link near0 name upper0 type macvlan"}, "part of upper0"},
	} {
		t.Run(name, func(t *testing.T) {
			ethernettest.Namespace(t, "that an interface with another use is refused")
			ethernettest.Cable(t, "near0", "far0")
			ethernettest.IP(t, "link", "set", "near0", "up")
			for _, s := range c.setup {
				ethernettest.IP(t, strings.Fields(s)...)
			}
			p := Port{Interface: c.iface}
			if _, err := OpenReceiver(p, quiet()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("OpenReceiver = %v, want %q", err, c.want)
			}
			if _, err := OpenTransmitter(p, quiet()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("OpenTransmitter = %v, want %q", err, c.want)
			}
			if flags := ethernettest.IP(t, "-o", "link", "show", "near0"); !strings.Contains(flags, ",UP") ||
				strings.Contains(flags, "NOARP") {
				t.Errorf("got %s, want it up and as it was", flags)
			}
		})
	}
}

func TestSmallMTUIsRaised(t *testing.T) {
	ethernettest.Namespace(t, "that a small MTU is raised")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "link", "set", "near0", "mtu", "1400")
	receiver(t, "near0")
	if i, err := net.InterfaceByName("near0"); err != nil || i.MTU != mtu {
		t.Errorf("MTU is %d, %v; want %d", i.MTU, err, mtu)
	}
}
