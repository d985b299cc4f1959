package uart_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/uart"
)

func TestWordsLeaveUnchangedAndXOFFDoesNotStopThem(t *testing.T) {
	master, path := drivertest.OpenPTY(t)
	tx, warnings, err := uart.OpenTransmitter(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	t.Log(warnings)
	_, _ = master.Write([]byte{0x13})
	want := []byte{0, 3, 4, 10, 13, 17, 19, 255}
	if n, err := tx.Transmit([][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	got := make([]byte, 64)
	n, err := master.Read(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("the far side read %v, %v; want %v (no echo, no change)", got[:n], err, want)
	}
}

func TestAReaderThatNeverReadsDoesNotBlock(t *testing.T) {
	_, path := drivertest.OpenPTY(t)
	tx, _, err := uart.OpenTransmitter(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	word, stopped := make([]byte, 259), false
	for range 200 {
		if n, err := tx.Transmit([][]byte{word}); n == 0 || err != nil {
			stopped = true
			break
		}
	}
	if !stopped { // where it blocks, the test does not end
		t.Error("200 words were taken with no reader, want the queue to fill")
	}
}

func TestReceiveDropsEarlyBytesAndReportsUnplug(t *testing.T) {
	master, path := drivertest.OpenPTY(t)
	_, _ = master.Write([]byte("early\n"))
	rx, _, err := uart.OpenReceiver(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	var got []byte
	take := func(b []byte) { got = append(got, b...) }
	_, _ = master.Write([]byte{1, 3, 19})
	for end := time.Now().Add(await.Bound); !bytes.HasSuffix(got, []byte{1, 3, 19}) && time.Now().Before(end); {
		if err := rx.Receive(100*time.Millisecond, take); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.HasSuffix(got, []byte{1, 3, 19}) {
		t.Errorf("received %v, want it to end in [1 3 19]", got)
	}
	if err := rx.Receive(time.Millisecond, take); err != nil {
		t.Errorf("silence gave %v, want nil", err)
	}
	_ = master.Close()
	if err := rx.Receive(await.Bound, take); err == nil {
		t.Error("an unplugged port gave nil, want an error")
	}
}

func TestBadBaudIsRefused(t *testing.T) {
	if _, _, err := uart.OpenTransmitter("/dev/null", 5_000_000); err == nil {
		t.Error("5 M baud was accepted, want an error")
	}
	if _, _, err := uart.OpenReceiver("/dev/null", unix.B9600); err == nil {
		t.Error("/dev/null was accepted as a port, want an error")
	}
}
