// Command smoke arms the watchdog of a real board, feeds it for longer than its
// time-out, and stops it; with -reset it leaves it hungry, and the board resets.
//
//	smoke [-reset] [/dev/watchdog0]
//
// It refuses to call a board proved that it cannot outlive: that it was reset,
// and came back, people see.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"heliograph/drivers/watchdog"
)

const timeout = 10 * time.Second

func main() {
	reset := flag.Bool("reset", false, "leave the watchdog hungry at the end")
	flag.Parse()
	path := flag.Arg(0)
	if path == "" {
		path = "/dev/watchdog0"
	}
	if err := run(path, *reset); err != nil {
		fmt.Fprintln(os.Stderr, "not proved:", err)
		os.Exit(1)
	}
}

func run(path string, reset bool) error {
	w, err := watchdog.Open(path, timeout)
	if err != nil {
		return err
	}
	fmt.Printf("proved: armed; asked for %s, the device gives %s; the kernel says %q\n", timeout, w.Timeout(),
		state(path))
	for fed := time.Duration(0); fed < w.Timeout()*3/2; fed += time.Second {
		if err := w.Feed(); err != nil {
			_ = w.Close()
			return err
		}
		time.Sleep(time.Second)
	}
	fmt.Println("proved: fed, it lets the board live for longer than its time-out")
	if reset {
		fmt.Printf("not proved: that the board is reset within %s; this line is the last if it is\n", w.Timeout())
		if err := w.Abandon(); err != nil {
			return err
		}
	} else if err := w.Close(); err != nil {
		return err
	}
	time.Sleep(w.Timeout() * 3 / 2)
	if reset {
		return fmt.Errorf("a reset: the board lives, unfed; the kernel says %q", state(path))
	}
	fmt.Printf("proved: stopped, it lets the board live; the kernel says %q\nnot proved: that it resets the board; "+
		"run with -reset\n", state(path))
	return nil
}

// state is what a kernel with CONFIG_WATCHDOG_SYSFS reports.
func state(path string) string {
	b, err := os.ReadFile(filepath.Join("/sys/class/watchdog", filepath.Base(path), "state"))
	if err != nil {
		return "nothing"
	}
	return strings.TrimSpace(string(b))
}
