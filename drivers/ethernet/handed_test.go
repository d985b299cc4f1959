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
	"heliograph/drivers/ethernet/ethernettest"
)

// descriptor is a copy that the driver may own, as in another process.
func descriptor(t *testing.T, f *os.File) int {
	t.Helper()
	t.Cleanup(func() { _ = f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	again := -1
	_ = raw.Control(func(fd uintptr) { again, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func handed(t *testing.T, what string) (*Transmitter, *Receiver) {
	t.Helper()
	ethernettest.Namespace(t, what)
	ethernettest.Cable(t, "near0", "far0")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	near, err := OpenTransmitterFile("near0", log)
	if err != nil {
		t.Fatal(err)
	}
	x, err := TransmitterFrom(descriptor(t, near), "near0", log)
	if err != nil {
		t.Fatal(err)
	}
	far, err := OpenReceiverFile("far0", log)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReceiverFrom(descriptor(t, far), "far0", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = x.Close(), r.Close() })
	return x, r
}

func TestFramesCrossOnHandedDescriptors(t *testing.T) {
	x, r := handed(t, "that handed descriptors carry frames")
	want := []byte("frame")
	if n, err := x.Transmit([][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	if got := receive(t, r, 1); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("received %q, want %q", got, want)
	}
	if r.Buffer() == 0 {
		t.Error("buffer of 0 bytes, want what the opener got")
	}
}

func TestHandedDescriptorsOutliveAnInterfaceThatWasDown(t *testing.T) {
	x, r := handed(t, "that a handed descriptor goes on after its interface was down")
	ethernettest.IP(t, "link", "set", "near0", "down")
	if n, err := x.Transmit([][]byte{[]byte("lost")}); n != 0 || err == nil {
		t.Errorf("while it is down: Transmit = %d, %v; want 0 and an error", n, err)
	}
	ethernettest.IP(t, "link", "set", "far0", "down")
	_ = r.Receive(10*time.Millisecond, func([]byte) {})
	ethernettest.IP(t, "link", "set", "near0", "up")
	ethernettest.IP(t, "link", "set", "far0", "up")
	var got [][]byte
	for end := time.Now().Add(bound); len(got) == 0 && time.Now().Before(end); {
		_, _ = x.Transmit([][]byte{[]byte("back")})
		_ = r.Receive(10*time.Millisecond, func(f []byte) { got = append(got, bytes.Clone(f)) })
	}
	if len(got) == 0 || string(got[0]) != "back" {
		t.Errorf("after it is up again: received %q, want \"back\"", got)
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
