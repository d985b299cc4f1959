package uart

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const ptyMajorFirst, ptyMajorLast = 136, 143 // Linux devices.txt, UNIX98 PTY slaves

func open(device string, baud, mode int) (*os.File, []string, error) {
	if baud < 1 || baud > maxBaud {
		return nil, nil, fmt.Errorf("uart: %d baud is outside 1 to %d", baud, maxBaud)
	}
	fd, err := unix.Open(device, mode|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("uart: opening %s: %w", device, err)
	}
	// A lock, not TIOCEXCL: that would also shut out a pty's own supervisor.
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("uart: %s is in use by another program: %w", device, err)
	}
	warnings, err := set(fd, uint32(baud), mode == unix.O_RDONLY)
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("uart: setting %s: %w", device, err)
	}
	return os.NewFile(uintptr(fd), device), warnings, nil
}

// set makes the line raw, drops what arrived before, and reads the settings back.
func set(fd int, baud uint32, receive bool) (warnings []string, err error) {
	want := unix.Termios{
		Cflag:  unix.CS8 | unix.CLOCAL | unix.BOTHER | unix.BOTHER<<unix.IBSHIFT,
		Ispeed: baud, Ospeed: baud,
	}
	if receive {
		want.Cflag |= unix.CREAD
	}
	want.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, &want); err != nil {
		return nil, err
	}
	queue := unix.TCOFLUSH
	if receive {
		queue = unix.TCIFLUSH
	}
	if err := unix.IoctlSetInt(fd, unix.TCFLSH, queue); err != nil {
		return nil, err
	}
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	major := unix.Major(uint64(stat.Rdev))
	pty := major >= ptyMajorFirst && major <= ptyMajorLast
	cflag := func(f uint32) bool { return (got.Cflag^want.Cflag)&f != 0 }
	for _, c := range []struct {
		name   string
		wrong  bool
		canPTY bool
	}{
		{"software flow control off (IXON, IXOFF, IXANY)", got.Iflag&(unix.IXON|unix.IXOFF|unix.IXANY) != 0, true},
		{fmt.Sprintf("raw input (input flags %#x stay set)", got.Iflag), got.Iflag != 0, true},
		{fmt.Sprintf("raw output (output flags %#x stay set)", got.Oflag), got.Oflag != 0, true},
		{fmt.Sprintf("no echo and no line editing (local flags %#x stay set)", got.Lflag), got.Lflag != 0, true},
		{"8 data bits, no parity, 1 stop bit", cflag(unix.CSIZE | unix.CSTOPB | unix.PARENB), true},
		{"hardware flow control off (CRTSCTS)", cflag(unix.CRTSCTS), true},
		{"modem lines ignored (CLOCAL)", cflag(unix.CLOCAL), true},
		{"the receiver as asked (CREAD)", cflag(unix.CREAD), false},
		{fmt.Sprintf("%d baud (it runs at %d out, %d in)", baud, got.Ospeed, got.Ispeed), got.Ospeed != baud ||
			got.Ispeed != baud, false},
	} {
		switch {
		case !c.wrong:
		case pty && !c.canPTY:
			warnings = append(warnings, "uart: a pty does not take "+c.name)
		default:
			return nil, fmt.Errorf("the port does not take %s", c.name)
		}
	}
	return warnings, nil
}
