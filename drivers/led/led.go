// Package led lights one LED in a pattern that repeats: on, off, on, off …
//
// The LED is a line of a GPIO chip, driven over its character device, or one
// that the kernel shows in /sys/class/leds. When Run ends the LED goes dark. A
// program that is killed cannot do that: the upstream kernel releases its line
// then, that of the Raspberry Pi keeps the level unless it is started with
// pinctrl_bcm2835.persist_gpio_outputs=n (pinctrl_rp1 on a Pi 5).
//
// The package gives patterns no meaning, and refuses to leave an LED to a trigger
// of the kernel, which would outlive the program. Only a person can see whether
// there is light: drivers/led/smoke asks for that.
package led

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// Output is what an LED hangs on; high is light. Every output pin of periph is
// one.
type Output interface {
	Out(gpio.Level) error
}

// LED plays a pattern. Show is safe for concurrent use.
type LED struct {
	out     Output
	changed chan struct{}

	mu      sync.Mutex
	pattern []time.Duration
}

// New returns an LED that is dark until Run plays what Show has set.
func New(out Output) *LED { return &LED{out: out, changed: make(chan struct{}, 1)} }

// Open takes a line of a GPIO chip, such as 21 of /dev/gpiochip0, and makes it
// an output. A chip is named by its device or by its label, such as pinctrl-rp1:
// the number of a device differs between kernels. Of periph only this driver is
// started, which touches only the lines that are opened.
func Open(chip string, line int) (*LED, error) {
	if _, err := driverreg.Init(); err != nil {
		return nil, fmt.Errorf("led: looking for GPIO chips: %v", err)
	}
	for _, c := range gpioioctl.Chips {
		if c.Path() != chip && c.Label() != chip {
			continue
		}
		l := c.ByNumber(line)
		if l == nil {
			return nil, fmt.Errorf("led: %s has %d lines, and no line %d", chip, c.LineCount(), line)
		}
		if err := l.Out(gpio.Low); err != nil {
			return nil, fmt.Errorf("led: line %d of %s: %v", line, chip, err)
		}
		return New(l), nil
	}
	return nil, fmt.Errorf("led: no GPIO chip %s", chip)
}

// OpenSysfs takes an LED that the kernel names, such as ACT, from its trigger.
// folder is /sys/class/leds.
func OpenSysfs(folder, name string) (*LED, error) {
	l := sysfs(filepath.Join(folder, name))
	if err := os.WriteFile(filepath.Join(string(l), "trigger"), []byte("none"), 0); err != nil {
		return nil, fmt.Errorf("led: %v", err)
	}
	if err := l.Out(gpio.Low); err != nil {
		return nil, fmt.Errorf("led: %v", err)
	}
	return New(l), nil
}

// sysfs is the folder of an LED in /sys.
type sysfs string

// Out implements Output.
func (l sysfs) Out(level gpio.Level) error {
	v := "0"
	if level {
		v = "1"
	}
	return os.WriteFile(filepath.Join(string(l), "brightness"), []byte(v), 0)
}

// Show replaces the pattern: times of light and dark in turn, for ever. None is
// darkness, one alone steady light; of any other odd number the last is light
// that runs into the first. The pattern that is shown already goes on
// undisturbed.
func (l *LED) Show(pattern []time.Duration) {
	l.mu.Lock()
	same := slices.Equal(l.pattern, pattern)
	if !same {
		l.pattern = slices.Clone(pattern)
	}
	l.mu.Unlock()
	if same {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default: // Run has been notified already
	}
}

// Run plays until ctx ends, and turns the LED off. The error is the output's.
func (l *LED) Run(ctx context.Context) (err error) {
	defer func() {
		if dark := l.out.Out(gpio.Low); err == nil {
			err = dark
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var playing []time.Duration
	for at := 0; ; at++ {
		wait, level := stage(playing, at)
		if err := l.out.Out(level); err != nil {
			return fmt.Errorf("led: %v", err)
		}
		var over <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			over = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-over:
		case <-l.changed:
			l.mu.Lock()
			playing, at = l.pattern, -1
			l.mu.Unlock()
		}
	}
}

// shortest is the shortest time that is kept: a pattern cannot spin.
const shortest = 10 * time.Millisecond

// stage returns what a pattern shows at its nth time, and for how long; 0 is
// until the pattern changes.
func stage(pattern []time.Duration, n int) (time.Duration, gpio.Level) {
	switch len(pattern) {
	case 0:
		return 0, gpio.Low
	case 1:
		return 0, gpio.High
	}
	return max(pattern[n%len(pattern)], shortest), n%len(pattern)%2 == 0
}
