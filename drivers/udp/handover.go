package udp

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DialFile opens what Dial opens, for another process to transmit on.
func DialFile(address string) (*os.File, error) {
	to, err := resolveHost(address)
	if err != nil {
		return nil, err
	}
	fd, err := to.transmitting()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "udp:"+address), nil
}

// TransmitterFrom returns a transmitter to address on a descriptor that came
// from DialFile. Only its own calls use the descriptor from now on.
func TransmitterFrom(descriptor int, address string) (*Transmitter, error) {
	to, err := resolveHost(address)
	if err != nil {
		return nil, err
	}
	return newTransmitter(descriptor, to)
}

// ListenFile opens what Listen opens, for another process to receive on.
func ListenFile(address string) (*os.File, error) {
	at, err := resolve(address)
	if err != nil {
		return nil, err
	}
	fd, _, err := at.receiving()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "udp:"+address), nil
}

// ReceiverFrom returns a receiver on a descriptor that came from ListenFile.
func ReceiverFrom(descriptor int, address string) (*Receiver, error) {
	at, err := resolve(address)
	if err != nil {
		return nil, err
	}
	buffer, err := unix.GetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return nil, fmt.Errorf("udp: descriptor %d is not a socket: %w", descriptor, err)
	}
	return newReceiver(descriptor, at, buffer/2) // socket(7): the kernel doubles it
}
