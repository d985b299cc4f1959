// Command smoke plays an LED on a real board and asks the person who watches it:
//
//	smoke /dev/gpiochip0 17    a line of a GPIO chip
//	smoke pinctrl-rp1 17       the same, by the chip's label
//	smoke ACT                  an LED of /sys/class/leds
//
// It refuses to say that there was light: the line is driven, the rest people see.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"heliograph/drivers/led"
)

const each = 4 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "not proved:", err)
		os.Exit(1)
	}
}

func open(args []string) (*led.LED, error) {
	switch len(args) {
	case 1:
		return led.OpenSysfs("/sys/class/leds", args[0])
	case 2:
		line, err := strconv.Atoi(args[1])
		if err != nil {
			return nil, err
		}
		return led.Open(args[0], line)
	}
	return nil, fmt.Errorf("name a chip and a line, or an LED of the kernel")
}

func run(args []string) error {
	l, err := open(args)
	if err != nil {
		return err
	}
	fmt.Println("proved: the LED can be taken")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	const ms = time.Millisecond
	for _, p := range []struct {
		watch   string
		pattern []time.Duration
	}{
		{"steady light", []time.Duration{time.Second}},
		{"a short blink every second", []time.Duration{100 * ms, 900 * ms}},
		{"five flashes and a pause", []time.Duration{200 * ms, 200 * ms, 200 * ms, 200 * ms, 200 * ms, 200 * ms,
			200 * ms, 200 * ms, 200 * ms, time.Second}},
		{"darkness", nil},
		{"steady light, which ends with this program", []time.Duration{time.Second}},
	} {
		fmt.Println("watch:", p.watch)
		l.Show(p.pattern)
		select {
		case err := <-done:
			return err
		case <-time.After(each):
		}
	}
	stop()
	if err := <-done; err != nil {
		return err
	}
	fmt.Println("proved: every level was written, the last is dark\nnot proved: that there was light, and dark " +
		"now; you saw it or not")
	return nil
}
