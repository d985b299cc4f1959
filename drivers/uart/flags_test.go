package uart

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"heliograph/drivers/drivertest"
)

func TestEachSideOpensOneWayAndLocks(t *testing.T) {
	_, path := drivertest.OpenPTY(t)
	tx, _, err := OpenTransmitter(path, 9600)
	if err != nil {
		t.Fatal(err)
	}
	mode(t, tx.port.file, unix.O_WRONLY)
	if _, _, err := OpenReceiver(path, 9600); err == nil {
		t.Error("a locked port was opened twice, want an error")
	}
	_ = tx.Close()
	rx, _, err := OpenReceiver(path, 9600)
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	mode(t, rx.port.file, unix.O_RDONLY)
}

func mode(t *testing.T, f *os.File, want int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		got, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || got&unix.O_ACCMODE != want || got&unix.O_NONBLOCK == 0 {
			t.Errorf("open flags %#x, %v; want access mode %d and O_NONBLOCK", got, err, want)
		}
	})
}
