package uart_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/uart"
)

// adapter is a serial port that is plugged into the same place again.
type adapter struct {
	t    *testing.T
	path string // as the program knows it
	far  *os.File
}

func plugged(t *testing.T) *adapter {
	a := &adapter{t: t, path: filepath.Join(t.TempDir(), "port")}
	a.plug()
	return a
}

func (a *adapter) plug() {
	a.t.Helper()
	far, near := drivertest.OpenPTY(a.t)
	if err := os.Symlink(near, a.path); err != nil {
		a.t.Fatal(err)
	}
	a.far = far
}

func (a *adapter) unplug() {
	a.t.Helper()
	if err := os.Remove(a.path); err != nil {
		a.t.Fatal(err)
	}
	_ = a.far.Close()
}

// TestATransmitterOpensItsPortAgain unplugs it within a word, the rest of which is never sent.
func TestATransmitterOpensItsPortAgain(t *testing.T) {
	port := plugged(t)
	tx, _, err := uart.OpenTransmitter(port.path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	transmit := func(word []byte) (int, error) { return tx.Transmit([][]byte{word}) }
	await.True(t, "the queue is full", func() bool {
		n, err := transmit(make([]byte, 777)) // no divisor of a pty's buffer
		return n == 0 && err == nil
	})
	port.unplug()
	for range 3 {
		if n, err := transmit([]byte("word")); n != 0 || err == nil {
			t.Fatalf("unplugged: got %d, %v; want 0 and an error", n, err)
		}
	}
	port.plug()
	await.True(t, "a word is taken again", func() bool {
		n, err := transmit([]byte("word"))
		return n == 1 && err == nil
	})
	got := make([]byte, 64)
	if n, err := port.far.Read(got); err != nil || string(got[:n]) != "word" {
		t.Errorf("plugged in again: the far side read %q, %v; want \"word\"", got[:n], err)
	}
}

func TestAReceiverOpensItsPortAgain(t *testing.T) {
	port := plugged(t)
	rx, _, err := uart.OpenReceiver(port.path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	var got []byte
	receive := func() error {
		return rx.Receive(10*time.Millisecond, func(b []byte) { got = append(got, b...) })
	}
	port.unplug()
	await.True(t, "the receiver reports it", func() bool { return receive() != nil })
	if receive() == nil {
		t.Error("unplugged: got nil, want an error")
	}
	port.plug()
	await.True(t, "bytes arrive again", func() bool {
		_, _ = port.far.WriteString("late")
		return receive() == nil && bytes.HasSuffix(got, []byte("late"))
	})
}

func TestAClosedPortIsNotOpenedAgain(t *testing.T) {
	port := plugged(t)
	tx, _, err := uart.OpenTransmitter(port.path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	port.unplug()
	if _, err := tx.Transmit([][]byte{[]byte("word")}); err == nil {
		t.Fatal("unplugged: got nil, want an error")
	}
	if err := tx.Close(); err != nil {
		t.Errorf("closing a port that went away: %v", err)
	}
	port.plug()
	if n, err := tx.Transmit([][]byte{[]byte("word")}); n != 0 || err == nil {
		t.Errorf("closed: got %d, %v; want 0 and an error", n, err)
	}
}

// TestADescriptorThatWasHandedOverStays: this process could not open another.
func TestADescriptorThatWasHandedOverStays(t *testing.T) {
	port := plugged(t)
	f, _, err := uart.OpenTransmitterFile(port.path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	tx := uart.TransmitterFromFile(f)
	defer tx.Close()
	port.unplug()
	port.plug()
	for range 3 {
		if n, err := tx.Transmit([][]byte{[]byte("word")}); n != 0 || err == nil {
			t.Errorf("got %d, %v; want 0 and an error", n, err)
		}
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("its descriptor: %v", err)
	}
}
