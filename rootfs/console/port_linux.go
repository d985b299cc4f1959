package console

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a serial port to read keys from: without line editing, echo or
// signals. How the port writes stays as it is: the kernel's own lines
// go out there too.
func Open(device string, baud int) (*os.File, error) {
	return openPort(device, baud, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK)
}

func openPort(device string, baud, flags int) (*os.File, error) {
	rate, ok := map[int]uint32{9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600,
		115200: unix.B115200}[baud]
	if !ok {
		return nil, fmt.Errorf("console: %d baud is not one of 9600 to 115200", baud)
	}
	f, err := os.OpenFile(device, flags, 0)
	if err != nil {
		return nil, fmt.Errorf("console: %v", err)
	}
	if err := setRaw(f, rate); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("console: %s: %v", device, err)
	}
	return f, nil
}

func setRaw(f *os.File, rate uint32) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err != nil {
			failed = err
			return
		}
		t.Iflag &^= unix.IXON | unix.IXOFF | unix.ICRNL | unix.INLCR | unix.ISTRIP | unix.BRKINT
		t.Iflag |= unix.IGNBRK
		t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB|unix.CSTOPB|unix.CRTSCTS|unix.CBAUD) | unix.CS8 | unix.CREAD |
			unix.CLOCAL | rate
		t.Ispeed, t.Ospeed = rate, rate
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		failed = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	if err == nil {
		err = failed
	}
	return err
}
