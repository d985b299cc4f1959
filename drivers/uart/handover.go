package uart

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenTransmitterFile opens and sets device for another process to transmit on.
// Nothing is echoed that arrives meanwhile, where the caller is root.
func OpenTransmitterFile(device string, baud int) (*os.File, []string, error) {
	return open(device, baud, unix.O_WRONLY, true)
}

// OpenReceiverFile opens and sets device for another process to receive on. Nothing
// is echoed that arrives meanwhile, where the caller is root.
func OpenReceiverFile(device string, baud int) (*os.File, []string, error) {
	return open(device, baud, unix.O_RDONLY, true)
}

// TransmitterFrom returns a transmitter on a descriptor that came from
// OpenTransmitterFile, and refuses one that could also be read.
func TransmitterFrom(descriptor int) (*Transmitter, error) {
	f, err := adopt(descriptor, unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return TransmitterFromFile(f), nil
}

// ReceiverFrom returns a receiver on a descriptor that came from
// OpenReceiverFile, and refuses one that could also be written.
func ReceiverFrom(descriptor int) (*Receiver, error) {
	f, err := adopt(descriptor, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return ReceiverFromFile(f), nil
}

func adopt(descriptor, mode int) (*os.File, error) {
	flags, err := unix.FcntlInt(uintptr(descriptor), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("uart: descriptor %d: %w (nothing was handed down under this number)", descriptor, err)
	}
	if flags&unix.O_ACCMODE != mode || flags&unix.O_NONBLOCK == 0 {
		return nil, fmt.Errorf("uart: descriptor %d has flags %#x, want access mode %d and O_NONBLOCK", descriptor,
			flags, mode)
	}
	return os.NewFile(uintptr(descriptor), "link"), nil
}
