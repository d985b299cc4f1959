// Package watchdog feeds a hardware watchdog, as watchdog-api.rst of Linux
// describes its device: once opened it resets the board unless it is fed in
// time.
//
//	Open      WDIOC_SETTIMEOUT, and read back what the device made of it
//	Feed      WDIOC_KEEPALIVE
//	Close     'V', then close: it stops, where the device lets it
//	Abandon   close alone: the board is reset
//
// Only a device can show that the board is reset, and that 'V' stops it
// (CONFIG_WATCHDOG_NOWAYOUT): see drivers/watchdog/smoke.
//
// The package refuses to feed by itself: it has no goroutine and no timer, so that
// each feed is a decision of the caller.
package watchdog

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// device is the watchdog of the kernel, or of a test.
type device interface {
	set(request uint, v int) error
	get(request uint) (int, error)
	feed() error
	Write(p []byte) (int, error)
	Close() error
}

// Watchdog is an armed watchdog. Not safe for concurrent use.
type Watchdog struct {
	device  device
	timeout time.Duration
}

// Open arms a watchdog, which then has to be fed. Some devices round
// the time-out, and some have one that is fixed: see Timeout. One that would be
// shorter than the half of what was asked for is refused and stopped.
func Open(path string, timeout time.Duration) (*Watchdog, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("watchdog: %v", err)
	}
	return arm(kernel{f}, timeout)
}

func arm(d device, timeout time.Duration) (*Watchdog, error) {
	w := &Watchdog{device: d}
	refused := d.set(unix.WDIOC_SETTIMEOUT, int(timeout/time.Second)) // EOPNOTSUPP: a fixed time-out
	seconds, err := d.get(unix.WDIOC_GETTIMEOUT)
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("watchdog: reading the time-out back: %v", err)
	}
	w.timeout = time.Duration(seconds) * time.Second
	if w.timeout < timeout/2 {
		_ = w.Close()
		return nil, fmt.Errorf("watchdog: its time-out is %s, too short for the %s asked for (%v)", w.timeout, timeout,
			refused)
	}
	return w, nil
}

// Timeout is the time within which the watchdog has to be fed.
func (w *Watchdog) Timeout() time.Duration { return w.timeout }

// Feed starts the time again.
func (w *Watchdog) Feed() error {
	if err := w.device.feed(); err != nil {
		return fmt.Errorf("watchdog: %v", err)
	}
	return nil
}

// Close stops the watchdog: by the magic close, which a kernel built with
// CONFIG_WATCHDOG_NOWAYOUT ignores.
func (w *Watchdog) Close() error {
	_, err := w.device.Write([]byte("V"))
	if closed := w.device.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("watchdog: stopping: %v", err)
	}
	return nil
}

// Abandon leaves the watchdog running and unfed.
func (w *Watchdog) Abandon() error { return w.device.Close() }

// kernel is a device of the kernel.
type kernel struct{ *os.File }

func (k kernel) set(request uint, v int) error {
	return unix.IoctlSetPointerInt(int(k.Fd()), request, v)
}

func (k kernel) get(request uint) (int, error) { return unix.IoctlGetInt(int(k.Fd()), request) }

func (k kernel) feed() error { return unix.IoctlWatchdogKeepalive(int(k.Fd())) }
