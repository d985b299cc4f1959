package uart_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/uart"
)

// far returns a pty whose far side honours deadlines, and the near side's
// path. The near side starts as a shell would have it: cooked, echoing, XON/XOFF.
func far(t *testing.T) (master *os.File, path string) {
	t.Helper()
	old, path := drivertest.OpenPTY(t)
	control(t, old, func(fd int) {
		again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(again, true); err != nil {
			t.Fatal(err)
		}
		master = os.NewFile(uintptr(again), "master")
		// Read and written through TCGETS, the old interface, for independence.
		s, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		s.Iflag |= unix.IXON | unix.IXOFF | unix.ICRNL
		s.Oflag |= unix.OPOST | unix.ONLCR
		s.Lflag |= unix.ECHO | unix.ICANON | unix.ISIG
		s.Cflag |= unix.CRTSCTS | unix.CSTOPB
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, s); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = master.Close() })
	return master, path
}

func control(t *testing.T, f *os.File, with func(fd int)) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { with(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// waiting is how many bytes have arrived at the near side.
func waiting(t *testing.T, path string) (n int) {
	t.Helper()
	near, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	control(t, near, func(fd int) {
		if n, err = unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil {
			t.Fatal(err)
		}
	})
	return n
}

func TestSettingsAreThoseOfARawLine(t *testing.T) {
	for _, role := range []string{"transmitter", "receiver"} {
		for _, baud := range []int{115_200, 921_600, 1_234_567, 4_000_000} {
			master, path := far(t)
			var err error
			var close func() error
			if role == "transmitter" {
				var tx *uart.Transmitter
				if tx, _, err = uart.OpenTransmitter(path, baud); err == nil {
					close = tx.Close
				}
			} else {
				var rx *uart.Receiver
				if rx, _, err = uart.OpenReceiver(path, baud); err == nil {
					close = rx.Close
				}
			}
			if err != nil {
				t.Fatalf("%s, %d baud: %v", role, baud, err)
			}
			control(t, master, func(fd int) { // TCGETS on the far side shows the near side's settings
				old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
				if err != nil {
					t.Fatal(err)
				}
				const mode = unix.CSIZE | unix.CSTOPB | unix.PARENB | unix.CRTSCTS | unix.CLOCAL
				if got := old.Cflag & mode; got != unix.CS8|unix.CLOCAL {
					t.Errorf("%s: control flags %#x, want CS8|CLOCAL: no CRTSCTS, no parity, one stop bit", role, got)
				}
				if old.Iflag != 0 || old.Oflag != 0 || old.Lflag != 0 {
					t.Errorf("%s: flags in %#x, out %#x, local %#x; want 0 (no IXON, OPOST, ECHO)", role, old.Iflag,
						old.Oflag, old.Lflag)
				}
				if role == "receiver" && old.Cflag&unix.CREAD == 0 {
					t.Error("receiver: CREAD is off, want it on")
				}
				speed, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
				if err != nil || speed.Ispeed != uint32(baud) || speed.Ospeed != uint32(baud) {
					t.Errorf("%s: %d baud in, %d out, %v; want %d", role, speed.Ispeed, speed.Ospeed, err, baud)
				}
			})
			_ = close()
		}
	}
}

func TestXOFFDoesNotStopTheTransmitter(t *testing.T) {
	for _, flowControl := range []bool{false, true} {
		master, path := far(t)
		tx, _, err := uart.OpenTransmitter(path, 921600)
		if err != nil {
			t.Fatal(err)
		}
		if flowControl { // the proof that this test can fail
			control(t, master, func(fd int) {
				s, _ := unix.IoctlGetTermios(fd, unix.TCGETS)
				s.Iflag |= unix.IXON
				s.Cc[unix.VSTART], s.Cc[unix.VSTOP] = 0x11, 0x13
				err := errors.Join(unix.IoctlSetTermios(fd, unix.TCSETS, s),
					unix.IoctlSetPointerInt(fd, unix.TIOCPKT, 1))
				if err != nil {
					t.Fatal(err)
				}
			})
		}
		_, _ = master.Write([]byte{0x13})
		if flowControl {
			untilStopped(t, master)
		} else {
			await.True(t, "the XOFF has come through, as data", func() bool { return waiting(t, path) == 1 })
		}
		if n, err := tx.Transmit([][]byte{[]byte("word")}); (n == 0) != flowControl || err != nil {
			t.Errorf("IXON %v, after XOFF: Transmit = %d, %v; want stopped %v", flowControl, n, err, flowControl)
		}
		_ = tx.Close()
	}
}

// untilStopped reads from a pty's far end in packet mode until that says that the near
// one is stopped (ioctl_tty(2), TIOCPKT_STOP).
func untilStopped(t *testing.T, far *os.File) {
	t.Helper()
	if err := far.SetReadDeadline(time.Now().Add(await.Bound)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 64); b[0]&unix.TIOCPKT_STOP == 0; {
		if _, err := far.Read(b); err != nil {
			t.Fatalf("the pty never stopped: %v", err)
		}
	}
}

func TestNothingComesBackFromTheReceiver(t *testing.T) {
	master, path := far(t)
	rx, _, err := uart.OpenReceiver(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	want := []byte("no echo\r\n\x03\x04\x11\x13")
	if _, err := master.Write(want); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for end := time.Now().Add(await.Bound); len(got) < len(want) && time.Now().Before(end); {
		if err := rx.Receive(100*time.Millisecond, func(b []byte) { got = append(got, b...) }); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	_ = master.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // short: for what must not come
	if n, err := master.Read(make([]byte, 64)); n != 0 || !os.IsTimeout(err) {
		t.Errorf("the far side read %d bytes back, %v; want none in 50 ms", n, err)
	}
}

func TestBytesFromBeforeAreDropped(t *testing.T) {
	master, path := far(t)
	control(t, master, func(fd int) { // raw already: only the flush can drop what waits
		if err := unix.IoctlSetTermios(fd, unix.TCSETS,
			&unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.B38400}); err != nil {
			t.Fatal(err)
		}
	})
	_, _ = master.Write([]byte("early"))
	await.True(t, "the early bytes wait", func() bool { return waiting(t, path) == len("early") })
	rx, _, err := uart.OpenReceiver(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	_, _ = master.Write([]byte("late"))
	var got []byte
	for end := time.Now().Add(await.Bound); !bytes.HasSuffix(got, []byte("late")) && time.Now().Before(end); {
		if err := rx.Receive(100*time.Millisecond, func(b []byte) { got = append(got, b...) }); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != "late" {
		t.Errorf("received %q, want \"late\" alone", got)
	}
}

func TestAWordCutShortIsContinued(t *testing.T) {
	master, path := far(t)
	tx, _, err := uart.OpenTransmitter(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	var want, got []byte
	buffer := make([]byte, 8192)
	word := make([]byte, 777) // no divisor of a pty's buffer
	for i := range 60 {
		for j := range word {
			word[j] = byte(i + j*7)
		}
		for {
			n, err := tx.Transmit([][]byte{word})
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 {
				want = append(want, word...)
				break
			}
			n, err = master.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buffer[:n]...)
		}
	}
	_ = master.SetReadDeadline(time.Now().Add(await.Bound))
	for len(got) < len(want) {
		n, err := master.Read(buffer)
		if err != nil {
			t.Fatalf("read %d of %d bytes: %v", len(got), len(want), err)
		}
		got = append(got, buffer[:n]...)
		if _, err := tx.Transmit(nil); err != nil { // lets a rest leave
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, want the %d sent, in order", len(got), len(want))
	}
}

func TestAnUnpluggedTransmitterReturnsAnError(t *testing.T) {
	master, path := drivertest.OpenPTY(t)
	tx, _, err := uart.OpenTransmitter(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	_ = master.Close()
	if n, err := tx.Transmit([][]byte{[]byte("word")}); n != 0 || err == nil {
		t.Errorf("Transmit = %d, %v; want 0 and an error", n, err)
	}
}
