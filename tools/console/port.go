// Package console shows a board's serial console on a PC: live, with the
// history of its link, or once for a script.
//
// The board's side is rootfs/console. Its text is shown as it comes, and keys go
// to the board as they are typed; nothing here decides what the board does. It
// asks for the status with console.Enquiry and keeps what it needs of the answer.
// What arrives is not trusted: lines are bounded and made
// printable, and a file is only written when it was asked for.
//
// It refuses to guess between adapters, and never opens a port to probe it:
// one of them may be a link at work.
package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.bug.st/serial"

	"heliograph/rootfs/console"
)

// baud is the speed of every board's console.
const baud = 115200

// Port is a serial port. A read that takes longer than its timeout returns 0
// bytes.
type Port interface {
	io.ReadWriter
	SetReadTimeout(time.Duration) error
}

// Device is a port that is open.
type Device interface {
	Port
	io.Closer
}

// Open opens a serial port, such as /dev/ttyUSB0, /dev/cu.usbserial-10 or COM3, a pseudo
// terminal, or tcp://HOST:PORT, where an emulated board or a terminal server has it.
func Open(device string) (Device, error) {
	if address, ok := strings.CutPrefix(device, scheme); ok {
		return dial(address)
	}
	p, err := serial.Open(device, &serial.Mode{BaudRate: baud})
	if failed, ok := errors.AsType[*serial.PortError](err); ok {
		switch failed.Code() {
		case serial.PermissionDenied:
			return nil, fmt.Errorf("console: %s: %s", device, denied)
		case serial.InvalidSerialPort, serial.PortNotFound:
			return nil, fmt.Errorf("console: %s is not a serial port; without a name it takes the one USB serial "+
				"adapter there is", device)
		case serial.PortBusy:
			return nil, fmt.Errorf("console: %s is in use: another program, or a link, has it open", device)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("console: %s: %v", device, err)
	}
	return p, nil
}

// Find returns the one USB serial adapter of this computer.
func Find() (string, error) {
	found, err := adapters()
	if err != nil {
		return "", fmt.Errorf("console: listing serial ports: %v", err)
	}
	return choose(found)
}

// adapter is a USB serial adapter.
type adapter struct{ path, about string }

// choose refuses to guess between adapters.
func choose(found []adapter) (string, error) {
	switch len(found) {
	case 0:
		return "", errors.New("console: no USB serial adapter is plugged in: plug one in, or name the port")
	case 1:
		return found[0].path, nil
	}
	slices.SortFunc(found, func(a, b adapter) int { return strings.Compare(a.path, b.path) })
	text := fmt.Sprintf("console: name one of %d adapters:", len(found))
	for _, a := range found {
		text += strings.TrimRight("\n  "+a.path+"  "+console.Printable(a.about), " ")
	}
	return "", errors.New(text)
}

// devices returns the adapters that stand in /dev of Linux.
func devices(dev fs.FS) (list []adapter) {
	found, _ := fs.Glob(dev, "serial/by-id/*") // the patterns are right
	for _, pattern := range []string{"ttyUSB*", "ttyACM*"} {
		if len(found) == 0 {
			found, _ = fs.Glob(dev, pattern)
		}
	}
	for _, name := range found {
		list = append(list, adapter{path: "/dev/" + name})
	}
	return list
}

// callOut are the adapters among the serial ports of macOS, whose names their drivers make.
// The others are Bluetooth and its debugging.
func callOut(ports []string) (list []adapter) {
	for _, p := range ports {
		name, ok := strings.CutPrefix(p, "/dev/cu.")
		if lower := strings.ToLower(name); ok && (strings.Contains(lower, "usb") || strings.Contains(lower, "wchusb") ||
			strings.HasPrefix(lower, "pl2303") || strings.HasPrefix(lower, "slab")) {
			list = append(list, adapter{path: p})
		}
	}
	return list
}

// attempts is how often Ask asks: a message of the board's kernel may fall into
// an answer.
const attempts = 3

// escape leaves a question that was left open.
const escape = 0x1b

// Ask has the board answer a key with framed data of that name.
func Ask(port Port, key byte, name string, timeout time.Duration) (data []byte, err error) {
	for range attempts {
		if _, err = port.Write([]byte{escape, key}); err != nil {
			return nil, fmt.Errorf("console: %v", err)
		}
		data, err = console.Unframe(bufio.NewReader(&awaited{port, time.Now().Add(timeout)}), name)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("console: no answer in %v: is the board on, and this its console?", timeout)
		}
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
	}
	return data, err
}

// awaited reads until a time.
type awaited struct {
	port Port
	end  time.Time
}

func (a *awaited) Read(p []byte) (int, error) {
	left := time.Until(a.end)
	if left <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	if err := a.port.SetReadTimeout(left); err != nil {
		return 0, err
	}
	n, err := a.port.Read(p)
	if n == 0 && err == nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}
