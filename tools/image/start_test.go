package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/rootfs/update"
)

// What the firmware does before there is a kernel: it has no pin send that the role may
// not send on, and arms the watchdog.
func TestFirmwareClosesThePinThatWouldLeadBack(t *testing.T) {
	for _, b := range boards.All() {
		for role, closed := range map[string]int{"tx": b.Link.Pins.RXD, "rx": b.Link.Pins.TXD} {
			lines := strings.Split(firmwareConfiguration(role, b, update.A), "\n")
			has := func(line string) bool { return slices.Contains(lines, line) }
			if b.Link.Pins == (boards.Pins{}) {
				continue
			}
			if !has(fmt.Sprintf("gpio=%d=ip,pd", closed)) || !has("uart_2ndstage=0") {
				t.Errorf("%s, %s: got %q, want GPIO %d to be an input and no log of the firmware", b.Name, role, lines,
					closed)
			}
			if n := strings.Count(strings.Join(lines, "\n"), "\ngpio="); n != 1 {
				t.Errorf("%s, %s: got %d pins set, want the one that stays closed", b.Name, role, n)
			}
		}
	}
}

func TestFirmwareArmsTheWatchdogWhereThereIsOne(t *testing.T) {
	from, err := download(Options{Source: "../.."}, firmwareModule)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boards.All() {
		got := strings.Contains(firmwareConfiguration("tx", b, update.B), "\nkernel_watchdog_timeout=60\n")
		if want := b.HasFirmware && b.Watchdog != ""; got != want {
			t.Errorf("%s: config.txt arms a watchdog: got %v, want %v", b.Name, got, want)
			continue
		}
		for _, name := range b.Firmware {
			if !got || filepath.Ext(name) != ".elf" {
				continue
			}
			program, err := os.ReadFile(filepath.Join(from.Dir, name))
			if err != nil || !bytes.Contains(program, []byte("kernel_watchdog_timeout\x00")) {
				t.Errorf("%s: %s does not know kernel_watchdog_timeout (%v): take a newer firmware", b.Name, name, err)
			}
		}
	}
}

func TestKernelFeedsTheWatchdogForAMinuteAtMost(t *testing.T) {
	for _, b := range boards.All() {
		got := slices.Contains(strings.Fields(arguments(b)), "watchdog.open_timeout=60")
		if want := b.Watchdog != ""; got != want {
			t.Errorf("%s: the kernel's arguments are %q: bounded %v, want %v", b.Name, arguments(b), got, want)
		}
	}
}
