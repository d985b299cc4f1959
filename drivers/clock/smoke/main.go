// Command smoke sets the clock of a real board, and checks the result; run it
// as root while nothing else keeps the clock. The clock is then late or early by a
// few milliseconds, and called synchronized.
//
//	smoke -set
//
// It refuses to touch the clock without -set, and then only prints it.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/drivers/clock"
)

// Our own choices.
const (
	jump     = time.Hour
	made     = 10 * time.Millisecond // to be slewed: 20 s at 0.5 ms a second
	slewing  = 4 * time.Second
	rate     = 500 * time.Microsecond // a second: adjtime(3)
	accuracy = time.Millisecond       // of our measurements
)

func main() {
	set := flag.Bool("set", false, "set the clock")
	flag.Parse()
	fmt.Printf("the clock is synchronized: %t\n", clock.Synchronized())
	hardware()
	if !*set {
		fmt.Println("not proved: that the clock can be set; run with -set")
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "not proved:", err)
		os.Exit(1)
	}
}

// ahead is by how much the time of day is ahead of the time since the start, by
// the clock that nothing slews: the monotonic one of package time is slewed too.
func ahead() (time.Duration, error) {
	var raw unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &raw); err != nil {
		return 0, err
	}
	return time.Duration(time.Now().UnixNano() - raw.Nano()), nil
}

// gains is by how much the time of day gets ahead while f runs.
func gains(f func() error) (time.Duration, error) {
	before, err := ahead()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := ahead()
	return after - before, err
}

func run() error {
	for _, by := range []time.Duration{jump, -jump} {
		got, err := gains(func() error { return clock.Step(time.Now().Add(by)) })
		if err != nil {
			return err
		}
		if (got - by).Abs() > accuracy {
			return fmt.Errorf("a step: the clock gained %s, want %s", got, by)
		}
		fmt.Printf("proved: stepped by %s, the clock gains %s\n", by, got)
	}
	for _, by := range []time.Duration{made, -made} {
		got, err := gains(func() error {
			defer time.Sleep(slewing)
			return clock.Slew(by)
		})
		if err != nil {
			return err
		}
		want := rate * time.Duration(slewing/time.Second) * by / by.Abs()
		if (got - want).Abs() > accuracy {
			return fmt.Errorf("slewing: the clock gained %s in %s, want %s", got, slewing, want)
		}
		fmt.Printf("proved: slewed by %s, the clock gains %s in %s\n", by, got, slewing)
	}
	if err := clock.Slew(0); err != nil {
		return err
	}
	if err := clock.Confirm(accuracy); err != nil {
		return err
	}
	if !clock.Synchronized() {
		return fmt.Errorf("confirming: the kernel calls the clock unsynchronized")
	}
	fmt.Println("proved: confirmed, the clock is synchronized")
	return nil
}

// hardware reads the clock that runs without power, as the kernel reports it.
func hardware() {
	b, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch")
	seconds, bad := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || bad != nil {
		fmt.Println("not proved: a clock that runs without power: the kernel has none")
		return
	}
	fmt.Printf("the clock that runs without power is ahead by %s\nnot proved: that it runs without power; run with "+
		"-set, cut the power for a while, run it again\n",
		time.Unix(seconds, 0).Sub(time.Now().Truncate(time.Second)))
}
