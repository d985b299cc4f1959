package console

import (
	"os"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
)

func TestKeysArriveAtOnceAndUnseen(t *testing.T) {
	master, path := drivertest.OpenPTY(t)
	port, err := Open(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if _, err := master.Write([]byte{3, 's', '\r'}); err != nil { // Ctrl-C is a key, and a line needs no end
		t.Fatal(err)
	}
	got := make([]byte, 3)
	for n := 0; n < len(got); {
		_ = port.SetReadDeadline(time.Now().Add(await.Bound))
		k, err := port.Read(got[n:])
		if err != nil {
			t.Fatalf("after %q: %v", got[:n], err)
		}
		n += k
	}
	if string(got) != "\x03s\r" {
		t.Errorf("got %q, want the keys as typed", got)
	}
	far, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := far.Write([]byte("log")); err != nil {
		t.Fatal(err)
	}
	if n, err := master.Read(got); string(got[:n]) != "log" {
		t.Errorf("got %q, %v; want what the board writes, and no echo", got[:n], err)
	}
}

func TestPortThatIsNone(t *testing.T) {
	for device, baud := range map[string]int{"/dev/null": 115200, "/dev/no-port": 115200, "/dev/tty": 7} {
		if _, err := Open(device, baud); err == nil {
			t.Errorf("%s at %d baud: got a console", device, baud)
		}
	}
}
