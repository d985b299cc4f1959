package udp

import (
	"bytes"
	"testing"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
)

func TestFramesCrossOnHandedDescriptors(t *testing.T) {
	address := await.FreeAddress(t)
	far, err := ListenFile(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReceiverFrom(drivertest.Descriptor(t, far), address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	near, err := DialFile(address)
	if err != nil {
		t.Fatal(err)
	}
	x, err := TransmitterFrom(drivertest.Descriptor(t, near), address)
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
