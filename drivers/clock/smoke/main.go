// Command smoke sets the clock of a real board, and looks whether it obeys; run it
// as root while nothing else keeps the clock. The clock is then late or early by a
// few milliseconds, and called synchronized.
//
//	smoke -set
//
// It refuses to touch the clock without -set, and then tells only what it is.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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

// gained is by how much the time of day ran ahead of the monotonic clock since.
func gained(since time.Time) time.Duration {
	now := time.Now()
	return now.Round(0).Sub(since.Round(0)) - now.Sub(since)
}

func run() error {
	start := time.Now()
	if err := clock.Step(start.Add(jump)); err != nil {
		return err
	}
	ahead := gained(start)
	if err := clock.Step(time.Now().Add(-jump)); err != nil {
		return err
	}
	if back := gained(start); (ahead-jump).Abs() > accuracy || back.Abs() > 2*accuracy {
		return fmt.Errorf("a step: got %s and back to %s, want %s and 0", ahead, back, jump)
	}
	fmt.Println("proved: the clock steps, forward and back")
	for _, offset := range []time.Duration{made, -made} {
		start := time.Now()
		if err := clock.Slew(offset); err != nil {
			return err
		}
		time.Sleep(slewing)
		got, want := gained(start), rate*time.Duration(slewing/time.Second)
		if offset < 0 {
			want = -want
		}
		if (got - want).Abs() > accuracy {
			return fmt.Errorf("slewing: the clock gained %s in %s, want %s", got, slewing, want)
		}
		fmt.Printf("proved: slewed by %s, the clock gains %s in %s\n", offset, got, slewing)
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

// hardware looks at the clock that runs without power, as the kernel tells it.
func hardware() {
	b, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch")
	seconds, bad := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || bad != nil {
		fmt.Println("not proved: a clock that runs without power: the kernel has none")
		return
	}
	fmt.Printf("the clock that runs without power is ahead by %s\nnot proved: that the kernel keeps it; wait eleven minutes, cut the power, look again\n",
		time.Unix(seconds, 0).Sub(time.Now().Truncate(time.Second)))
}
