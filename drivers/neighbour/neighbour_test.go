package neighbour

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/udp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The two machines of the test, and what stands between them: a box that passes packets
// from the plant's side to IT's and none back.
//
//	plant0 10.9.0.1 ── box0 ──▶ box1 ── it0 10.9.0.2, in a namespace of its own
const (
	receiverAt  = "10.9.0.2:17000"
	receiverMAC = "02:00:00:00:00:12"
)

// diode is the box.
type diode struct {
	in, out *ethernettest.Tap
	arp, ip int // packets that came in
}

// pass passes on what comes in within some milliseconds.
func (d *diode) pass(t *testing.T) {
	t.Helper()
	const etherType, arp = 12, 0x0806
	for p := d.in.Next(t, 5*time.Millisecond); p != nil; p = d.in.Next(t, time.Millisecond) {
		if binary.BigEndian.Uint16(p[etherType:]) == arp {
			d.arp++
		} else {
			d.ip++
		}
		d.out.Send(t, p)
	}
}

// oneWay makes the topology, and the receiver at its far end.
func oneWay(t *testing.T, what string) (*diode, *udp.Receiver) {
	t.Helper()
	ethernettest.Namespace(t, what)
	ip := func(line string) { t.Helper(); ethernettest.IP(t, strings.Fields(line)...) }
	for _, pair := range []string{"plant0 address 02:00:00:00:00:01 type veth peer name box0",
		"it0 address " + receiverMAC + " type veth peer name box1"} {
		ip("link add " + pair)
	}
	for _, name := range []string{"plant0", "box0", "it0", "box1"} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	ip("link set box0 arp off up")
	ip("link set box1 arp off up")
	ip("addr add 10.9.0.1/24 dev plant0")
	ip("link set plant0 up")
	ethernettest.NoOffload(t, "plant0")
	return &diode{in: ethernettest.OpenTap(t, "box0"), out: ethernettest.OpenTap(t, "box1")}, farEnd(t)
}

// farEnd moves it0 to a namespace of its own, and listens there.
func farEnd(t *testing.T) *udp.Receiver {
	t.Helper()
	link, err := netlink.LinkByName("it0")
	if err != nil {
		t.Fatal(err)
	}
	home := namespace(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	away := namespace(t)
	enter := func(f *os.File) {
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
	}
	enter(home)
	if err := netlink.LinkSetNsFd(link, int(away.Fd())); err != nil {
		t.Fatal(err)
	}
	enter(away)
	defer enter(home)
	ethernettest.IP(t, "addr", "add", "10.9.0.2/24", "dev", "it0")
	ethernettest.IP(t, "link", "set", "it0", "up")
	r, err := udp.Listen(receiverAt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func namespace(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// log keeps lines for a test.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// dial returns a transmitter to the receiver, without an entry for it.
func dial(t *testing.T) *udp.Transmitter {
	t.Helper()
	x, err := udp.Dial(receiverAt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// guarded returns a transmitter that keeps the entry.
func guarded(t *testing.T, out *log) *Transmitter {
	t.Helper()
	x, err := Guard(dial(t), receiverAt, receiverMAC, out.logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// crosses transmits until a frame is received.
func crosses(t *testing.T, x Medium, d *diode, r *udp.Receiver) {
	t.Helper()
	await.True(t, "a frame crosses the one-way link", func() (ok bool) {
		_, _ = x.Transmit([][]byte{[]byte("frame")})
		d.pass(t)
		if err := r.Receive(5*time.Millisecond, func(f []byte) { ok = ok || string(f) == "frame" }); err != nil {
			t.Fatal(err)
		}
		return ok
	})
}

// TestWithoutAnEntryNothingCrosses shows what the entry is for, and that the box of these
// tests passes nothing back.
func TestWithoutAnEntryNothingCrosses(t *testing.T) {
	d, r := oneWay(t, "that without an entry nothing crosses a one-way link")
	x := dial(t)
	defer x.Close()
	const asked = 3 // ucast_solicit and mcast_solicit of Linux: then it gives up, and begins again
	await.True(t, "the kernel asks in vain", func() bool {
		_, _ = x.Transmit([][]byte{[]byte("frame")})
		d.pass(t)
		return d.arp > asked
	})
	if d.ip != 0 {
		t.Errorf("%d packets of IP left, want none", d.ip)
	}
	if err := r.Receive(time.Millisecond, func(f []byte) { t.Errorf("received %q, want nothing", f) }); err != nil {
		t.Fatal(err)
	}
	if d.out.Next(t, await.Bound) == nil {
		t.Error("the receiver did not answer; these tests could not see a way back")
	}
}

func TestWithAnEntryFramesCrossAndNothingIsAsked(t *testing.T) {
	d, r := oneWay(t, "that an entry makes UDP cross a one-way link")
	var out log
	x := guarded(t, &out)
	frames := [][]byte{[]byte("frame"), bytes.Repeat([]byte{1}, udp.MaxFrame)}
	if n, err := x.Transmit(frames); n != len(frames) || err != nil {
		t.Fatalf("Transmit = %d, %v; want %d, nil, at once", n, err, len(frames))
	}
	crosses(t, x, d, r)
	if d.arp != 0 {
		t.Errorf("asked %d times by ARP, want never", d.arp)
	}
	if got := ethernettest.IP(t, "neigh", "show", "10.9.0.2"); !strings.Contains(got,
		"dev plant0 lladdr "+receiverMAC+" PERMANENT") {
		t.Errorf("ip says %q, want a permanent entry", got)
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "interface=plant0") ||
		!strings.Contains(got, "set=true") {
		t.Errorf("logged %s, want one line with the interface", got)
	}
}

func TestALostEntryIsRenewed(t *testing.T) {
	for name, lose := range map[string][]string{
		"removed":           {"neigh del 10.9.0.2 dev plant0"},
		"another address":   {"neigh replace 10.9.0.2 lladdr 02:00:00:00:00:99 nud permanent dev plant0"},
		"not permanent":     {"neigh replace 10.9.0.2 lladdr " + receiverMAC + " nud stale dev plant0"},
		"interface bounced": {"link set plant0 down", "link set plant0 up"},
		"address away":      {"addr flush dev plant0", "addr add 10.9.0.1/24 dev plant0"},
	} {
		t.Run(name, func(t *testing.T) {
			d, r := oneWay(t, "that an entry that was lost is set again")
			var out log
			x := guarded(t, &out)
			crosses(t, x, d, r)
			for _, line := range lose {
				ethernettest.IP(t, strings.Fields(line)...)
			}
			await.True(t, "the entry is set again", func() bool {
				return strings.Count(out.String(), "set=true") > 1 && x.entry.Err() == nil
			})
			crosses(t, x, d, r)
		})
	}
}

func TestWhileThereIsNoWayNothingIsTransmitted(t *testing.T) {
	for name, c := range map[string]struct {
		setup []string
		want  string
	}{
		"no route": {[]string{"addr flush dev plant0"}, "no route to 10.9.0.2: bring its interface up"},
		"over a router": {[]string{"addr flush dev plant0", "addr add 10.8.0.1/24 dev plant0",
			"route add default via 10.8.0.9"},
			"10.9.0.2 is reached over the gateway 10.8.0.9"},
		"its own": {[]string{"addr add 10.9.0.2/24 dev plant0"}, "10.9.0.2 is not the address of another machine"},
		"broadcast": {[]string{"addr flush dev plant0", "addr add 10.9.0.1/30 broadcast 10.9.0.2 dev plant0"},
			"is not the address of another machine"},
	} {
		t.Run(name, func(t *testing.T) {
			d, r := oneWay(t, "that a peer that cannot be reached is said to be so")
			for _, line := range c.setup {
				ethernettest.IP(t, strings.Fields(line)...)
			}
			var out log
			x := guarded(t, &out)
			n, err := x.Transmit([][]byte{[]byte("frame")})
			if n != 0 || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Transmit = %d, %v; want 0 and %q", n, err, c.want)
			}
			if strings.Count(out.String(), "\n") != 1 {
				t.Errorf("logged %s, want one line", out.String())
			}
			ethernettest.IP(t, "addr", "flush", "dev", "plant0")
			ethernettest.IP(t, "addr", "add", "10.9.0.1/24", "dev", "plant0")
			crosses(t, x, d, r)
		})
	}
}

func TestWithoutThePrivilegeTheErrorHasTheCommand(t *testing.T) {
	d, r := oneWay(t, "that the command of the error sets the entry")
	dropped := make(chan *Transmitter)
	var out log
	home := namespace(t)
	go func() { // on a thread that ends with it
		runtime.LockOSThread()
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		without(t, unix.CAP_NET_ADMIN)
		e, err := New(receiverAt, receiverMAC, out.logger())
		if err != nil {
			t.Error(err)
			close(dropped)
			return
		}
		dropped <- &Transmitter{medium: dial(t), entry: e, stop: func() {}}
	}()
	x := <-dropped
	if x == nil {
		return
	}
	defer x.Close()
	n, err := x.Transmit([][]byte{[]byte("frame")})
	if n != 0 || err == nil {
		t.Fatalf("Transmit = %d, %v; want 0 and an error", n, err)
	}
	command := regexp.MustCompile(`run as root: ip (neigh replace 10\.9\.0\.2 lladdr [0-9a-f:]+ nud permanent dev ` +
		`plant0)$`).FindStringSubmatch(err.Error())
	if command == nil {
		t.Fatalf("got %q, want a command", err)
	}
	ethernettest.IP(t, strings.Fields(command[1])...)
	x.entry.look()
	crosses(t, x, d, r)
}

// without takes a capability from the calling thread.
func without(t *testing.T, capability uint) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Error(err)
	}
	for i := range data {
		data[i].Inheritable = 0
	}
	data[0].Effective &^= 1 << capability
	data[0].Permitted &^= 1 << capability
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotAnAddressIsRefused(t *testing.T) {
	for address, mac := range map[string]string{"rx.example:17000": receiverMAC, "10.9.0.2": receiverMAC,
		receiverAt: "02:00"} {
		if e, err := New(address, mac, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s, %s: got %v, want an error", address, mac, e)
		}
	}
}
