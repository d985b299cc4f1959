package probe

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Our own choices of probes on a serial line.
const (
	drainTime = 10 * time.Second
	drainStep = 20 * time.Millisecond
)

// UART writes on the port that heliorx reads. Its output was stopped by who opened it for
// heliorx, and is on for the probes alone.
func (p Plan) UART(ctx context.Context, device string) (r Result) {
	fd, err := unix.Open(device, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(fmt.Errorf("opening %s: %w", device, err))
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOON); err != nil {
		return failed(fmt.Errorf("letting %s send: %w", device, err))
	}
	defer func() { _ = unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOOFF) }()
	m := Means{Name: fmt.Sprintf("%d bytes on RX's TXD", Size)}
	probe := bytes.Repeat([]byte{0x55, 0xaa}, Size/2)
	written := 0
	for end := time.Now().Add(drainTime); written < p.Count*Size && time.Now().Before(end); {
		n, err := unix.Write(fd, probe[written%Size:])
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			m.Error = err.Error()
			break
		}
		written += max(n, 0)
		if ctx.Err() != nil || n <= 0 && !wait(ctx, drainStep) {
			r.Reason = ErrInterrupted.Error()
			break
		}
	}
	queued := drain(ctx, fd)
	m.Count = (written - queued) / Size
	if queued > 0 {
		m.Error = fmt.Sprintf("%d bytes did not leave", queued)
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH)
	}
	p.sent(&r, m)
	return r
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
