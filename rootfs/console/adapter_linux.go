package console

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Our own choices.
const (
	adapterInterval = time.Second     // between looks for one
	adapterTimeout  = 5 * time.Second // that one may take nothing
)

// Adapter is a console's port on a USB serial adapter, which may be plugged in and
// pulled out at any time. Safe for concurrent use.
type Adapter struct {
	devices  []string
	baud     int
	interval time.Duration

	mu   sync.Mutex
	port *os.File // nil while there is none
}

// NewAdapter returns a port that is the first of the devices that is there.
func NewAdapter(baud int, devices ...string) *Adapter {
	return &Adapter{devices: devices, baud: baud, interval: adapterInterval}
}

// Write implements io.Writer. It writes to the adapter while there is one, and
// discards everything else: it never fails.
func (a *Adapter) Write(p []byte) (int, error) {
	a.mu.Lock()
	port := a.port
	a.mu.Unlock()
	if port != nil {
		_ = port.SetWriteDeadline(time.Now().Add(adapterTimeout))
		_, _ = port.Write(p) // Run sees that it was pulled out
	}
	return len(p), nil
}

// Run hands each adapter to serve, until ctx ends. serve returns when a read fails.
func (a *Adapter) Run(ctx context.Context, serve func(context.Context, io.ReadCloser)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if port := a.open(); port != nil {
			serve(ctx, port)
			a.set(nil)
			_ = port.Close()
		}
		timer.Reset(a.interval)
	}
}

func (a *Adapter) open() *os.File {
	for _, device := range a.devices {
		if port, err := openPort(device, a.baud, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK); err == nil {
			a.set(port)
			return port
		}
	}
	return nil
}

func (a *Adapter) set(port *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.port = port
}
