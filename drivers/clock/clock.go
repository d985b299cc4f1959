// Package clock asks the kernel whether the machine's clock is the time of day,
// and sets it: once by a step, then by letting it run slower or faster.
//
// Only PID 1 of a board sets a clock (see rootfs/timekeeper); roles read it. A clock that runs without power
// is left to the kernel, which takes it over when it finds it
// (CONFIG_RTC_HCTOSYS), and sets it within seconds of Confirm and every eleven
// minutes while that holds (CONFIG_RTC_SYSTOHC). Whether a machine does so
// drivers/clock/smoke shows.
package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// timeError is TIME_ERROR of adjtimex(2): the clock is not synchronized.
const timeError = 5

// Modes and status bits of adjtimex(2), from linux/timex.h.
const (
	modeMaxError   = 0x0004
	modeEstError   = 0x0008
	modeStatus     = 0x0010
	modeSingleShot = 0x8001
	statusUnsync   = 0x0040
)

// Synchronized reports whether something, NTP as a rule, keeps the clock.
func Synchronized() bool {
	var t unix.Timex // all modes zero: only reads
	state, err := unix.Adjtimex(&t)
	return err == nil && state != timeError
}

// Step sets the clock to t at once.
func Step(t time.Time) error {
	v := unix.NsecToTimeval(t.UnixNano())
	if err := unix.Settimeofday(&v); err != nil {
		return fmt.Errorf("clock: setting: %w", err)
	}
	return nil
}

// Slew lets the clock make up for an offset, by at most 0.5 ms a second
// (adjtime(3)). It replaces what is left of an earlier call.
func Slew(offset time.Duration) error { return slew(unix.Adjtimex, offset) }

func slew(adjust func(*unix.Timex) (int, error), offset time.Duration) error {
	t := unix.Timex{Modes: modeSingleShot, Offset: offset.Microseconds()}
	if _, err := adjust(&t); err != nil {
		return fmt.Errorf("clock: slewing: %w", err)
	}
	return nil
}

// Confirm tells the kernel that the clock is within maxError of the time of
// day. It holds until drift may have made 16 s of it, nine hours.
func Confirm(maxError time.Duration) error { return confirm(unix.Adjtimex, maxError) }

func confirm(adjust func(*unix.Timex) (int, error), maxError time.Duration) error {
	var now unix.Timex
	if _, err := adjust(&now); err != nil {
		return fmt.Errorf("clock: asking: %w", err)
	}
	t := unix.Timex{Modes: modeStatus | modeMaxError | modeEstError, Status: now.Status &^ statusUnsync,
		Maxerror: maxError.Microseconds(), Esterror: maxError.Microseconds()}
	if _, err := adjust(&t); err != nil {
		return fmt.Errorf("clock: confirming: %w", err)
	}
	return nil
}
