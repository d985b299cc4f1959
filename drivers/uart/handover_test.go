package uart_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/uart"
)

func TestAHandedDescriptorTransmits(t *testing.T) {
	master, path := far(t)
	f, _, err := uart.OpenTransmitterFile(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := uart.ReceiverFrom(drivertest.Descriptor(t, f)); err == nil {
		t.Error("a receiver takes a transmitter's descriptor, want an error")
	}
	tx, err := uart.TransmitterFrom(drivertest.Descriptor(t, f))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	if n, err := tx.Transmit([][]byte{[]byte("word")}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	_ = master.SetReadDeadline(time.Now().Add(await.Bound))
	b := make([]byte, 8)
	if n, err := master.Read(b); string(b[:n]) != "word" {
		t.Errorf("the far side read %q, %v; want \"word\"", b[:n], err)
	}
}

func TestAHandedDescriptorReceives(t *testing.T) {
	master, path := far(t)
	f, _, err := uart.OpenReceiverFile(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := uart.TransmitterFrom(drivertest.Descriptor(t, f)); err == nil {
		t.Error("a transmitter takes a receiver's descriptor, want an error")
	}
	rx, err := uart.ReceiverFrom(drivertest.Descriptor(t, f))
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	if _, err := master.Write([]byte("word")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	if err := rx.Receive(await.Bound, func(b []byte) { got = append(got, b...) }); err != nil ||
		string(got) != "word" {
		t.Errorf("received %q, %v; want \"word\"", got, err)
	}
}

func TestADescriptorThatBlocksOrIsNoneIsRefused(t *testing.T) {
	_, path := far(t)
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd()) // which makes it block
	defer f.Close()
	for name, fd := range map[string]int{"one that blocks": fd, "none": 1 << 20} {
		if _, err := uart.TransmitterFrom(fd); err == nil {
			t.Errorf("%s: taken, want an error", name)
		}
	}
}
