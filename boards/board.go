// Package boards describes the machines that a role runs on, as data: what the
// boot partition needs, which UART is the link and which the console, where the
// watchdog is. One file holds one board.
//
// It opens no device and decides nothing at run time beyond Detect.
package boards

import "strings"

// Board is one machine. Paths of device trees are those in the boot partition.
type Board struct {
	Name        string
	Model       string   // the device tree's model begins so; empty on a machine without one
	DeviceTree  string   // empty where the machine brings its own
	Overlays    []string // with their parameters, as config.txt has them: i2c-rtc,ds3231
	Link        UART
	Console     UART
	Heartbeat   Line // LED of the role's health; the zero value: none
	LinkLED     Line // LED of the link; the zero value: none
	Network     Network
	Watchdog    string   // device; empty when none may be armed
	KernelArgs  []string // beside console and root
	Firmware    []string // files of the firmware that it boots through
	Config      []string // lines of config.txt beside kernel, device tree and overlays
	HasFirmware bool     // boots through the Raspberry Pi firmware and its config.txt
}

// UART is a serial port by its device and line rate.
type UART struct {
	Device string
	Baud   int
	Pins   Pins // the zero value: no header that software could open or close
}

// Pins are where a UART comes out, as pinctrl/brcm,bcm2835-gpio.txt of Linux
// counts them.
type Pins struct {
	Group    string // label of the device tree's pin group that the UART uses
	TXD, RXD int
	Function int // that connects a pin to the UART
}

// Line is a GPIO line that lights an LED when it is high.
type Line struct {
	Chip   string // /dev/gpiochip0
	Number int
}

// Network says which interface is which. An Ethernet link needs a second one,
// which the kernel has a driver for; it is named in the order of discovery.
type Network struct {
	Outside string   // the plant's or IT's side
	Link    string   // the one-way side
	Drivers []string // kernel drivers of what Link may be
}

// All returns every board.
func All() []Board { return []Board{rpi4b(), cm4(), rpi3b(), virt(), pc()} }

// ByName returns the board that users call name.
func ByName(name string) (Board, bool) {
	for _, b := range All() {
		if b.Name == name {
			return b, true
		}
	}
	return Board{}, false
}

// Detect returns the board whose device tree has the given model, as in
// /proc/device-tree/model; a machine without a model is a PC.
func Detect(model string) (Board, bool) {
	model = strings.TrimRight(model, "\x00\n")
	if model == "" {
		return pc(), true
	}
	for _, b := range All() {
		if b.Model != "" && strings.HasPrefix(model, b.Model) {
			return b, true
		}
	}
	return Board{}, false
}
