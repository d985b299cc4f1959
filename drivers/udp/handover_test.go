package udp

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"testing"

	"heliograph/ci/await"

	"golang.org/x/sys/unix"
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

func TestFramesCrossOnHandedDescriptors(t *testing.T) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", free.LocalAddr().(*net.UDPAddr).Port)
	_ = free.Close()
	far, err := ListenFile(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReceiverFrom(descriptor(t, far), address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	near, err := DialFile(address)
	if err != nil {
		t.Fatal(err)
	}
	x, err := TransmitterFrom(descriptor(t, near), address)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	want := []byte("frame")
	if n, err := x.Transmit([][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	var got []byte
	if err := r.Receive(await.Bound, func(f []byte) { got = bytes.Clone(f) }); err != nil || !bytes.Equal(got, want) {
		t.Errorf("received %q, %v; want %q", got, err, want)
	}
	if r.Buffer() == 0 {
		t.Error("buffer of 0 bytes, want what the opener got")
	}
}

func TestWhatCannotBeALinkIsRefused(t *testing.T) {
	if _, err := DialFile(":17000"); err == nil {
		t.Error("DialFile takes an address without a host, want an error")
	}
	if _, err := ReceiverFrom(1<<20, "127.0.0.1:17000"); err == nil {
		t.Error("ReceiverFrom takes a descriptor that is none, want an error")
	}
}
