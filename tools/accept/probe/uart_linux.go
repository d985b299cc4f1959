package probe

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/tools/accept"
)

// Our own choices of probes on a serial line.
const (
	probeSize = 16 // bytes
	drainTime = 10 * time.Second
	drainStep = 20 * time.Millisecond
)

// uart writes on the port that heliorx reads. heliorx has stopped its output, which is on
// for the probes alone.
func uart(ctx context.Context, device string, count int) accept.Reverse {
	fd, err := unix.Open(device, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(fmt.Errorf("opening %s: %w", device, err))
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOON); err != nil {
		return failed(fmt.Errorf("letting %s send: %w", device, err))
	}
	defer func() { _ = unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOOFF) }()
	m := accept.Means{Name: fmt.Sprintf("%d bytes on RX's TXD", probeSize)}
	probe := bytes.Repeat([]byte{0x55, 0xaa}, probeSize/2)
	written := 0
	for end := time.Now().Add(drainTime); written < count*probeSize && time.Now().Before(end); {
		n, err := unix.Write(fd, probe[written%probeSize:])
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			m.Error = err.Error()
			break
		}
		written += max(n, 0)
		if n <= 0 && !wait(ctx, drainStep) {
			return accept.Reverse{Reason: "interrupted"}
		}
	}
	queued := drain(ctx, fd)
	m.Count = (written - queued) / probeSize
	if queued > 0 {
		m.Error = fmt.Sprintf("%d bytes did not leave in %s", queued, drainTime)
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH)
	}
	return accept.Reverse{Sent: []accept.Means{m}}
}

// drain waits until nothing is queued, and returns what still is.
func drain(ctx context.Context, fd int) (queued int) {
	for end := time.Now().Add(drainTime); ; {
		queued, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		if err != nil || queued <= 0 {
			return 0
		}
		if time.Now().After(end) || !wait(ctx, drainStep) {
			return queued
		}
	}
}
