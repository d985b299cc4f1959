package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/boards"
	"heliograph/drivers/clock"
	"heliograph/drivers/led"
	"heliograph/drivers/watchdog"
	"heliograph/firmware/platform/report"
	"heliograph/rootfs/console"
	"heliograph/rootfs/supervisor"
	"heliograph/rootfs/timekeeper"
)

// watchdogTimeout is the longest that the BCM2835's watchdog can do.
const watchdogTimeout = 15 * time.Second

// openOutputs arms the watchdog and opens the LEDs. The watchdog comes first, and before
// the role starts: a board that hangs in its start is reset too, even by an LED.
func openOutputs(ctx context.Context, log *slog.Logger, b boards.Board) supervisor.Outputs {
	var o supervisor.Outputs
	if w := armWatchdog(log, b.Watchdog); w != nil {
		o.Watchdog = w
	}
	var heartbeat supervisor.Lamps
	if b.Heartbeat != (boards.Line{}) {
		heartbeat = play(ctx, log, heartbeat, func() (*led.LED, error) {
			return led.Open(b.Heartbeat.Chip, b.Heartbeat.Number)
		})
	}
	if b.OwnLED != "" { // it cannot be known whether another one is soldered to the header
		heartbeat = play(ctx, log, heartbeat, func() (*led.LED, error) {
			return led.OpenSysfs("/sys/class/leds", b.OwnLED)
		})
	}
	if len(heartbeat) > 0 {
		o.Heartbeat = heartbeat
	}
	if b.LinkLED != (boards.Line{}) {
		if l := play(ctx, log, nil, func() (*led.LED, error) {
			return led.Open(b.LinkLED.Chip, b.LinkLED.Number)
		}); len(l) > 0 {
			o.Link = l
		}
	}
	return o
}

// play adds an LED that shows its pattern until ctx ends, if it can be opened: a board
// works without one.
func play(ctx context.Context, log *slog.Logger, to supervisor.Lamps, open func() (*led.LED, error)) supervisor.Lamps {
	opened, err := open()
	if err != nil {
		log.Error("LED not opened", "error", err)
		return to
	}
	go func() {
		if err := opened.Run(ctx); err != nil {
			log.Error("LED failed", "error", err)
		}
	}()
	return append(to, opened)
}

func armWatchdog(log *slog.Logger, device string) *watchdog.Watchdog {
	const unavailable = "watchdog unavailable; reset a hung board by hand"
	if device == "" {
		log.Warn(unavailable)
		return nil
	}
	w, err := watchdog.Open(device, watchdogTimeout)
	if err != nil {
		log.Error(unavailable, "error", err)
		return nil
	}
	log.Info("watchdog armed", "timeout", w.Timeout().String())
	return w
}

// kernelClock is the machine's clock.
type kernelClock struct{}

func (kernelClock) Step(to time.Time) error              { return clock.Step(to) }
func (kernelClock) Slew(offset time.Duration) error      { return clock.Slew(offset) }
func (kernelClock) Confirm(maxError time.Duration) error { return clock.Confirm(maxError) }

// newTimekeeper sets the machine's clock, and returns what keeps it with the role's
// measurements.
func newTimekeeper(log *slog.Logger, v *supervisor.Vitals) *timekeeper.Keeper {
	c := timekeeper.Config{Log: log, Clock: kernelClock{}, Now: time.Now, File: "/data/clock"}
	c.Measurement = func() report.Clock { _, r := v.Current(); return r.Clock }
	if info, err := os.Stat("/init"); err == nil {
		c.Released = info.ModTime()
	}
	return timekeeper.Start(c)
}

// kernelConsole returns where lines are shown; without a console they are discarded.
func kernelConsole() io.Writer {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return io.Discard
	}
	return f
}

// usbConsoles are the devices of the adapters that the kernel has drivers for: FTDI,
// CP210x and CH341; CDC ACM.
var usbConsoles = []string{"/dev/ttyUSB0", "/dev/ttyACM0"}

// newScreen returns where lines are shown: the kernel's console, and the adapter of a
// board that has its console on USB; without such a one it is nil.
func newScreen(port boards.UART) (*console.Writer, *console.Adapter) {
	if !port.OnUSB() {
		return console.NewWriter(kernelConsole()), nil
	}
	adapter := console.NewAdapter(port.Baud, usbConsoles...)
	return console.NewWriter(io.MultiWriter(kernelConsole(), adapter)), adapter
}

// serveConsole lets keys from the console's port act until ctx ends.
func (b *board) serveConsole(ctx context.Context, log *slog.Logger, port boards.UART, c *console.Console) {
	if b.adapter != nil {
		b.adapter.Run(ctx, c.Serve)
		return
	}
	if port.Device == "" {
		return
	}
	f, err := console.Open(port.Device, port.Baud)
	if err != nil {
		log.Error("console without keys", "error", err)
		return
	}
	c.Serve(ctx, f)
}
