package ethernet

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet/ethernettest"
)

// line is a transmitter and a receiver on descriptors that were handed to them.
type line struct {
	x         *Transmitter
	r         *Receiver
	near, far *os.File // as opened
}

func handed(t *testing.T, what string) (l line) {
	t.Helper()
	ethernettest.Namespace(t, what)
	ethernettest.Cable(t, "near0", "far0")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	if l.near, err = OpenTransmitterFile(Port{Interface: "near0"}, log); err != nil {
		t.Fatal(err)
	}
	if l.x, err = TransmitterFrom(drivertest.Descriptor(t, l.near), "near0", log); err != nil {
		t.Fatal(err)
	}
	if l.far, err = OpenReceiverFile(Port{Interface: "far0"}, log); err != nil {
		t.Fatal(err)
	}
	if l.r, err = ReceiverFrom(drivertest.Descriptor(t, l.far), "far0", log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.x.Close(), l.r.Close() })
	return l
}

// within does something in the network namespace of a socket.
func within(t *testing.T, f *os.File, do func()) {
	t.Helper()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	away := -1
	_ = raw.Control(func(fd uintptr) { away, err = unix.IoctlRetInt(int(fd), unix.SIOCGSKNS) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(away) }()
	if err := unix.Setns(away, unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	do()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

func TestFramesCrossOnHandedDescriptors(t *testing.T) {
	l := handed(t, "that handed descriptors carry frames")
	want := []byte("frame")
	if n, err := l.x.Transmit([][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	if got := receive(t, l.r, 1); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("received %q, want %q", got, want)
	}
	if l.r.Buffer() == 0 {
		t.Error("buffer of 0 bytes, want what the opener got")
	}
}

func TestHandedDescriptorsOutliveAnInterfaceThatWasDown(t *testing.T) {
	l := handed(t, "that a handed descriptor goes on after its interface was down")
	within(t, l.near, func() { ethernettest.IP(t, "link", "set", "near0", "down") })
	within(t, l.far, func() { ethernettest.IP(t, "link", "set", "far0", "down") })
	if n, err := l.x.Transmit([][]byte{[]byte("lost")}); n != 0 || err == nil {
		t.Errorf("while it is down: Transmit = %d, %v; want 0 and an error", n, err)
	}
	_ = l.r.Receive(10*time.Millisecond, func([]byte) {})
	within(t, l.near, func() { ethernettest.IP(t, "link", "set", "near0", "up") })
	within(t, l.far, func() { ethernettest.IP(t, "link", "set", "far0", "up") })
	var got [][]byte
	for end := time.Now().Add(bound); len(got) == 0 && time.Now().Before(end); {
		_, _ = l.x.Transmit([][]byte{[]byte("back")})
		_ = l.r.Receive(10*time.Millisecond, func(f []byte) { got = append(got, bytes.Clone(f)) })
	}
	if len(got) == 0 || string(got[0]) != "back" {
		t.Errorf("after it is up again: received %q, want \"back\"", got)
	}
}

func TestAHandedTransmitterReportsAMissingCarrier(t *testing.T) {
	l := handed(t, "that a handed descriptor reports a missing carrier")
	within(t, l.far, func() { ethernettest.IP(t, "link", "set", "far0", "down") })
	var n int
	var err error
	for end := time.Now().Add(bound); err == nil && time.Now().Before(end); {
		n, err = l.x.Transmit([][]byte{[]byte("frame")})
	}
	if n != 0 || err == nil || !strings.Contains(err.Error(), "no carrier") {
		t.Errorf("Transmit = %d, %v; want 0 and that there is no carrier", n, err)
	}
	within(t, l.far, func() { ethernettest.IP(t, "link", "set", "far0", "up") })
	for end := time.Now().Add(bound); n == 0 || err != nil; {
		if n, err = l.x.Transmit([][]byte{[]byte("frame")}); time.Now().After(end) {
			t.Fatalf("Transmit = %d, %v after the carrier is back; want 1, nil", n, err)
		}
	}
}

// broadcast is what any user may try on any interface of its namespace.
func broadcast(t *testing.T, iface string) error {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface); err != nil {
		return err
	}
	return unix.Sendto(fd, []byte("leak"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{255, 255, 255, 255}})
}

func TestOtherProgramsDoNotReachAHandedInterface(t *testing.T) {
	l := handed(t, "that no other program sends on a handed interface")
	if err := broadcast(t, "far0"); err != unix.ENODEV {
		t.Errorf("broadcasting on it: %v, want %v", err, unix.ENODEV)
	}
	within(t, l.far, func() {
		if got := ethernettest.Sent(t, "far0"); got != 0 {
			t.Errorf("%d packets left it, want none", got)
		}
		if err := broadcast(t, "far0"); err != nil || ethernettest.Sent(t, "far0") != 1 {
			t.Errorf("where it is: %v; want that it leaves, or this test proves nothing", err)
		}
	})
}

func TestAnInterfaceThatCannotBeTakenLeavesUsAtHome(t *testing.T) {
	ethernettest.Namespace(t, "that a failed move leaves the thread where it was")
	ethernettest.Cable(t, "near0", "far0")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if f, err := OpenReceiverFile(Port{Interface: "missing0"}, log); f != nil || err == nil {
		t.Errorf("missing interface: %v, %v; want an error", f, err)
	}
	ethernettest.IP(t, "link", "show", "far0") // fails the test when it is not there
}

func TestAnInterfaceWithAnotherUseIsNotTakenAway(t *testing.T) {
	ethernettest.Namespace(t, "that an interface with an address stays where it is")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "addr", "add", "10.0.0.1/24", "dev", "near0")
	if _, err := OpenReceiverFile(Port{Interface: "mac:02:00:00:00:00:01"}, quiet()); err == nil ||
		!strings.Contains(err.Error(), "near0 has the address 10.0.0.1/24") {
		t.Errorf("got %v, want that it has an address", err)
	}
	if out := ethernettest.IP(t, "-o", "addr", "show", "near0"); !strings.Contains(out, "10.0.0.1/24") {
		t.Errorf("left %q, want its address kept", out)
	}
}

func TestWhatIsNoPacketSocketIsRefused(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for name, fd := range map[string]int{"a UDP socket": fd, "nothing": 1 << 20} {
		if _, err := TransmitterFrom(fd, "near0", log); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: TransmitterFrom = %v, want an error of one line", name, err)
		}
		if _, err := ReceiverFrom(fd, "far0", log); err == nil {
			t.Errorf("%s: ReceiverFrom takes it, want an error", name)
		}
	}
}
