package uart

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const ptyMajorFirst, ptyMajorLast = 136, 143 // Linux devices.txt, UNIX98 PTY slaves

// open opens a device, sets its line raw and drops what arrived before. With alone,
// nothing that arrives meanwhile is echoed: see hold.
func open(device string, baud, mode int, alone bool) (*os.File, []string, error) {
	if baud < 1 || baud > maxBaud {
		return nil, nil, fmt.Errorf("uart: %d baud is outside 1 to %d", baud, maxBaud)
	}
	path, err := unix.BytePtrFromString(device)
	if err != nil {
		return nil, nil, fmt.Errorf("uart: opening %q: %w", device, err)
	}
	receive := mode == unix.O_RDONLY
	settings := line(uint32(baud), receive)
	r := request{path: path, mode: uintptr(mode | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC),
		output: unix.TCOON, settings: &settings}
	if receive {
		r.output = unix.TCOOFF // nothing leaves by this port, also of other programs
	}
	release := func() {}
	if alone {
		release = hold()
	}
	port, failed, errno := r.start()
	release()
	fd := int(port)
	switch failed {
	case opening:
		return nil, nil, fmt.Errorf("uart: opening %s: %w", device, errno)
	case locking:
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("uart: %s is in use by another program: %w", device, errno)
	case setting:
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("uart: setting %s: %w", device, errno)
	}
	warnings, err := check(fd, settings)
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("uart: setting %s: %w", device, err)
	}
	return os.NewFile(port, device), warnings, nil
}

// line returns the settings of a raw line.
func line(baud uint32, receive bool) unix.Termios {
	t := unix.Termios{
		Cflag:  unix.CS8 | unix.CLOCAL | unix.BOTHER | unix.BOTHER<<unix.IBSHIFT,
		Ispeed: baud, Ospeed: baud,
	}
	if receive {
		t.Cflag |= unix.CREAD
	}
	t.Cc[unix.VMIN] = 1
	return t
}

// check reads the settings back.
func check(fd int, want unix.Termios) (warnings []string, err error) {
	baud := want.Ospeed
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
