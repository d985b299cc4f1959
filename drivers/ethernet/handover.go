package ethernet

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"heliograph/drivers/isolate"

	"golang.org/x/sys/unix"
)

// OpenTransmitterFile moves the port's interface into a network namespace of its own,
// makes it silent, brings it up, and opens what another process transmits on.
// The file keeps the namespace, so the same file serves that process's next start.
func OpenTransmitterFile(p Port, log *slog.Logger) (f *os.File, err error) {
	err = isolate.Interface(p.Interface, func(device string) error {
		p.Interface = device
		fd, _, err := transmitting(p, log)
		if err == nil {
			f = os.NewFile(uintptr(fd), "ethernet:"+p.Interface)
		}
		return err
	})
	return f, err
}

// OpenReceiverFile is the same for a process that receives.
func OpenReceiverFile(p Port, log *slog.Logger) (f *os.File, err error) {
	err = isolate.Interface(p.Interface, func(device string) error {
		p.Interface = device
		fd, _, err := receiving(p, log)
		if err == nil {
			f = os.NewFile(uintptr(fd), "ethernet:"+p.Interface)
		}
		return err
	})
	return f, err
}

// TransmitterFrom returns a transmitter on a descriptor that came from
// OpenTransmitterFile; the name is for messages. It continues when the interface
// was down and is up again, but not when it was removed: then the process that
// opened the socket has to open a new one.
func TransmitterFrom(descriptor int, iface string, log *slog.Logger) (*Transmitter, error) {
	local, err := boundTo(descriptor)
	if err != nil {
		return nil, err
	}
	t := newTransmitter(Port{Interface: iface}, log)
	t.handed = true
	if err := t.use(descriptor, device{name: iface, address: local.Addr[:6]}); err != nil {
		return nil, err
	}
	return t, nil
}

// ReceiverFrom is the same for a descriptor from OpenReceiverFile.
func ReceiverFrom(descriptor int, iface string, log *slog.Logger) (*Receiver, error) {
	if _, err := boundTo(descriptor); err != nil {
		return nil, err
	}
	r := newReceiver(Port{Interface: iface}, log)
	r.handed = true
	if err := r.use(descriptor, iface); err != nil {
		return nil, err
	}
	return r, nil
}

// Bound returns the interface of a file from OpenReceiverFile or OpenTransmitterFile: its
// number in the namespace where it is, and its address.
func Bound(f *os.File) (index int, own net.HardwareAddr, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, nil, fmt.Errorf("ethernet: %w", err)
	}
	var to *unix.SockaddrLinklayer
	closed := raw.Control(func(fd uintptr) { to, err = boundTo(int(fd)) })
	if err = cmp.Or(closed, err); err != nil {
		return 0, nil, err
	}
	return to.Ifindex, net.HardwareAddr(to.Addr[:to.Halen]), nil
}

// boundTo is what a packet socket is bound to, its interface's address with it.
func boundTo(descriptor int) (*unix.SockaddrLinklayer, error) {
	address, err := unix.Getsockname(descriptor)
	if err != nil {
		return nil, fmt.Errorf("ethernet: descriptor %d is not a socket: %w", descriptor, err)
	}
	local, ok := address.(*unix.SockaddrLinklayer)
	if !ok || local.Halen != 6 {
		return nil, errors.New("ethernet: the descriptor handed over is not a packet socket of an Ethernet interface")
	}
	return local, nil
}
